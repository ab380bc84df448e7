// Operand B in an image: a layer has 2^b_strip_bits vec4s of each row, a line of it those of 2^b_line_bits rows. Expects
// gemm/gemm.wgsl. Provides b_at, b_element.
var b: texture_storage_2d_array<rgba32float, read>;

fn b_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  let line = row >> gemm.b_line_bits;
  let layer = column_block >> gemm.b_strip_bits;
  let texel = (row - (line << gemm.b_line_bits)) * stride + column_block - (layer << gemm.b_strip_bits);
  return textureLoad(b, vec2u(texel, line), layer);
}

fn b_element(row: u32, stride: u32, column: u32) -> f32 {
  return b_at(row, stride, column / 4)[column % 4];
}
