// Provides activate() of a pre-activation, its derivative in terms of the output, and active_above, above which a latent
// is active.
fn activate(x: vec4f) -> vec4f {
  return 1 / (1 + exp(-x));
}

fn derivative(y: vec4f) -> vec4f {
  return y * (1 - y);
}

const active_above = 0.5;
