// The decoder, [latents, inputs], in a buffer. Provides decoder_weight_at().
var<storage, read> decoder_weights: array<vec4f>;

fn decoder_weight_at(row: u32, column: u32) -> vec4f {
  return decoder_weights[row * decode.column_blocks + column];
}
