// The matrix of which a kernel reads rows here and there, in a buffer. Provides scattered_row_at().
var<storage, read> scattered_rows: array<vec4f>;

fn scattered_row_at(row: u32, stride: u32, column: u32) -> vec4f {
  return scattered_rows[row * stride + column];
}
