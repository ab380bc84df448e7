// The KL sparsity penalty of one unit whose mean activation is `mean`, and its slope.
// With r = target + 1e-8 and q = mean + 1e-8, the divergence is r log(r/q) + (1-r) log((1-r)/(1-q)):
// the PyTorch original's penalty without its constant, so that it is 0 where the mean meets the target.
// A ReLU's mean can pass 1, where the logarithm ends; so above q = 0.99 the penalty goes on along its tangent,
// and the unit is still pushed down. Provides kl_divergence() and kl_slope().
const kl_epsilon = 1e-8;
const kl_last = 0.99;

fn kl_slope(mean: vec4f, target_mean: f32) -> vec4f {
  let r = target_mean + kl_epsilon;
  let q = min(mean + kl_epsilon, vec4f(kl_last));
  return (1 - r) / (1 - q) - r / q;
}

fn kl_divergence(mean: vec4f, target_mean: f32) -> vec4f {
  let r = target_mean + kl_epsilon;
  let unbounded = mean + kl_epsilon;
  let q = min(unbounded, vec4f(kl_last));
  let curve = r * log(r / q) + (1 - r) * log((1 - r) / (1 - q));
  return curve + kl_slope(mean, target_mean) * (unbounded - q);
}
