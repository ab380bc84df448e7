// Operand A in an image: a layer has 2^a_strip_bits vec4s of each row, a line of it those of 2^a_line_bits rows. Expects
// gemm/gemm.wgsl. Provides a_at, a_element.
var a: texture_storage_2d_array<rgba32float, read>;

fn a_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  let line = row >> gemm.a_line_bits;
  let layer = column_block >> gemm.a_strip_bits;
  let texel = (row - (line << gemm.a_line_bits)) * stride + column_block - (layer << gemm.a_strip_bits);
  return textureLoad(a, vec2u(texel, line), layer);
}

fn a_element(row: u32, stride: u32, column: u32) -> f32 {
  return a_at(row, stride, column / 4)[column % 4];
}
