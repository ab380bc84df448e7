// Operand A in a buffer, row by row. Provides a_at, a_element.
var<storage, read> a: array<vec4f>;

fn a_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  return a[row * stride + column_block];
}

fn a_element(row: u32, stride: u32, column: u32) -> f32 {
  return a[row * stride + column / 4][column % 4];
}
