// Rows that are added up in an image, as in gemm/image_a.wgsl. Provides row_value_at().
var row_values: texture_storage_2d_array<rgba32float, read>;
var<uniform> row_values_bits: vec2u;

fn row_value_at(row: u32, column: u32) -> vec4f {
  let line = row >> row_values_bits.x;
  let layer = column >> row_values_bits.y;
  let texel = (row - (line << row_values_bits.x)) * latents.column_blocks + column - (layer << row_values_bits.y);
  return textureLoad(row_values, vec2u(texel, line), layer);
}
