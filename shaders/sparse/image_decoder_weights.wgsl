// The decoder, [latents, inputs], in an image, as in gemm/image_a.wgsl. Provides decoder_weight_at().
var decoder_weights: texture_storage_2d_array<rgba32float, read>;
var<uniform> decoder_weights_bits: vec2u;

fn decoder_weight_at(row: u32, column: u32) -> vec4f {
  let line = row >> decoder_weights_bits.x;
  let layer = column >> decoder_weights_bits.y;
  let texel = (row - (line << decoder_weights_bits.x)) * decode.column_blocks + column - (layer << decoder_weights_bits.y);
  return textureLoad(decoder_weights, vec2u(texel, line), layer);
}
