// Operand B in a buffer, row by row. Provides b_at, b_element.
var<storage, read> b: array<vec4f>;

fn b_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  return b[row * stride + column_block];
}

fn b_element(row: u32, stride: u32, column: u32) -> f32 {
  return b[row * stride + column / 4][column % 4];
}
