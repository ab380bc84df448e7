// The L1 penalty with each latent weighted by the norm of its decoder direction, its weights in the first decoder layer:
// mean over rows of sum over latents of latent * norm. So a small latent with a long direction costs as much as a large
// one with a short one.
// coefficients: its weight. Expects metrics/step.wgsl and metrics/statistics.wgsl. Provides penalize().
var<uniform> step: Step;
var<storage, read> decoder_weights: array<vec4f>;  // [outputs, latents]
var<storage, read_write> penalty_gradients: array<vec4f>;
var<storage, read_write> decoder_factors: array<vec4f>;

// Returns the sum of the term of four latents. Stores their gradients, and the factors of their directions in these
// directions' own gradients.
fn penalize(block: u32, mean: vec4f, exists: vec4<bool>) -> vec4f {
  var squares = vec4f(0);
  for (var i = block; i < arrayLength(&decoder_weights); i += sizes.latent_blocks) {
    squares += decoder_weights[i] * decoder_weights[i];
  }
  let norm = sqrt(squares);
  let weight = step.coefficients.x;
  penalty_gradients[block] = select(vec4f(0), weight / f32(step.rows) * norm, exists);
  // At 0 the norm has no gradient; 0 is used, as in PyTorch.
  decoder_factors[block] = select(vec4f(0), weight * mean / norm, norm > vec4f(0));
  return vec4f(dot(mean, norm), 0, 0, 0);
}
