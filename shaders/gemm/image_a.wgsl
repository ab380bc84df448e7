// Operand A in an image. Expects gemm/image.wgsl. Provides a_at, a_element.
var a: texture_storage_2d_array<rgba32float, read>;
var<uniform> a_bits: vec2u;

fn a_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  let texel = texel_at(a_bits, row, stride, column_block);
  return textureLoad(a, texel.xy, texel.z);
}

fn a_element(row: u32, stride: u32, column: u32) -> f32 {
  return a_at(row, stride, column / 4)[column % 4];
}
