// The L1 penalty: the mean over the batch's rows of the sum of a row's latents, none of which is negative.
// coefficients: its weight. Expects metrics/step.wgsl. Provides penalize().
var<uniform> step: Step;
var<storage, read_write> penalty_gradients: array<vec4f>;

// Returns the sum of the term of four latents, and stores their gradients.
fn penalize(block: u32, mean: vec4f, exists: vec4<bool>) -> vec4f {
  penalty_gradients[block] = select(vec4f(0), vec4f(step.coefficients.x / f32(step.rows)), exists);
  return vec4f(dot(mean, vec4f(1)), 0, 0, 0);
}
