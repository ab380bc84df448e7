// Adam (Kingma and Ba, 2015) in PyTorch's form: value -= lr/c1 * m / (sqrt(v)/sqrt(c2) + eps). The bias
// corrections come from the host, where they are computed in double. rates: lr / c1, 1 / sqrt(c2).
// Expects metrics/step.wgsl, flush(). Provides struct Moments, struct Updated, update_rule().
override adam_beta1: f32;
override adam_beta2: f32;
// 1 - beta, from the host as well: in f32 it would be off by up to 5e-5 of itself.
override adam_rest1: f32;
override adam_rest2: f32;
override adam_eps: f32;

struct Moments {
  first: vec4f,
  second: vec4f,
}

struct Updated {
  value: vec4f,
  moments: Moments,
}

fn update_rule(value: vec4f, gradient: vec4f, before: Moments, record: Step) -> Updated {
  let m = flush(adam_beta1 * before.first + adam_rest1 * gradient);
  let v = flush(adam_beta2 * before.second + adam_rest2 * gradient * gradient);
  return Updated(value - record.rates.x * m / (sqrt(v) * record.rates.y + adam_eps), Moments(m, v));
}
