// Provides activate() of a pre-activation, its derivative in terms of the output, and active_above, above which a latent
// is active.
fn activate(x: vec4f) -> vec4f {
  // Not max(), which turns NaN into 0: an overflow would look like an inactive latent.
  return select(x, vec4f(0), x <= vec4f(0));
}

fn derivative(y: vec4f) -> vec4f {
  return select(vec4f(0), vec4f(1), y > vec4f(0));
}

const active_above = 0.0;
