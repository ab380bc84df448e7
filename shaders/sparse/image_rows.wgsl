// The matrix of which a kernel reads rows here and there, in an image. Expects gemm/image.wgsl. Provides scattered_row_at().
var scattered_rows: texture_storage_2d_array<rgba32float, read>;
var<uniform> scattered_rows_bits: vec2u;

fn scattered_row_at(row: u32, stride: u32, column: u32) -> vec4f {
  let texel = texel_at(scattered_rows_bits, row, stride, column);
  return textureLoad(scattered_rows, texel.xy, texel.z);
}
