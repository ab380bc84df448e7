// For layers/parameters.wgsl: a penalty on the norms of decoder directions adds a multiple of each direction to its gradient.
// Expects weights, the first decoder layer's, [outputs, latents]. Provides penalized().
var<storage, read> decoder_factors: array<vec4f>;

fn penalized(i: u32, column_block: u32, gradient: vec4f) -> vec4f {
  return gradient + decoder_factors[column_block] * weights[i];
}
