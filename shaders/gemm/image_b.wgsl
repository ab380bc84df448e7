// Operand B in an image. Expects gemm/image.wgsl. Provides b_at, b_element.
var b: texture_storage_2d_array<rgba32float, read>;
var<uniform> b_bits: vec2u;

fn b_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  let texel = texel_at(b_bits, row, stride, column_block);
  return textureLoad(b, texel.xy, texel.z);
}

fn b_element(row: u32, stride: u32, column: u32) -> f32 {
  return b_at(row, stride, column / 4)[column % 4];
}
