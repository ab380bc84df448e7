// The KL sparsity penalty of a latent whose mean activation is `mean`, and its gradient. coefficients: its weight, the target.
// With r = target + 1e-8 and q = mean + 1e-8, the divergence is r log(r/q) + (1-r) log((1-r)/(1-q)):
// the original program's penalty without its constant, so that it is 0 where the mean equals the target.
// A ReLU's mean can exceed 1, where the logarithm is undefined. Above q = 0.99 the penalty therefore continues along its
// tangent, and still lowers the latent. Expects metrics/step.wgsl. Provides penalize().
const kl_epsilon = 1e-8;
const kl_last = 0.99;

var<uniform> step: Step;
var<storage, read_write> penalty_gradients: array<vec4f>;

fn kl_gradient(mean: vec4f, target_mean: f32) -> vec4f {
  let r = target_mean + kl_epsilon;
  let q = min(mean + kl_epsilon, vec4f(kl_last));
  return (1 - r) / (1 - q) - r / q;
}

fn kl_divergence(mean: vec4f, target_mean: f32) -> vec4f {
  let r = target_mean + kl_epsilon;
  let unbounded = mean + kl_epsilon;
  let q = min(unbounded, vec4f(kl_last));
  let curve = r * log(r / q) + (1 - r) * log((1 - r) / (1 - q));
  return curve + kl_gradient(mean, target_mean) * (unbounded - q);
}

// Returns the sum of the terms of four latents, and stores their gradients.
fn penalize(block: u32, mean: vec4f, exists: vec4<bool>) -> vec4f {
  let weight = step.coefficients.x;
  let target_mean = step.coefficients.y;
  let gradient = weight / f32(step.rows) * kl_gradient(mean, target_mean);
  penalty_gradients[block] = select(vec4f(0), gradient, exists);
  let divergence = select(vec4f(0), kl_divergence(mean, target_mean), exists);
  return vec4f(dot(divergence, vec4f(1)), 0, 0, 0);
}
