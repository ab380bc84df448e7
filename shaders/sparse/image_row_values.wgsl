// Rows that are added up in an image, as in gemm/image_a.wgsl. Provides row_value_at().
var row_values: texture_storage_2d_array<rgba32float, read>;

fn row_value_at(row: u32, column: u32) -> vec4f {
  let line = row >> latents.line_bits;
  let layer = column >> latents.strip_bits;
  let texel = (row - (line << latents.line_bits)) * latents.column_blocks + column - (layer << latents.strip_bits);
  return textureLoad(row_values, vec2u(texel, line), layer);
}
