// The decoder, [latents, inputs], in an image, as in gemm/image_a.wgsl. Provides decoder_weight_at().
var decoder_weights: texture_storage_2d_array<rgba32float, read>;

fn decoder_weight_at(row: u32, column: u32) -> vec4f {
  let line = row >> decode.line_bits;
  let layer = column >> decode.strip_bits;
  let texel = (row - (line << decode.line_bits)) * decode.column_blocks + column - (layer << decode.strip_bits);
  return textureLoad(decoder_weights, vec2u(texel, line), layer);
}
