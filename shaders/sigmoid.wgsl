// Provides activate(), its derivative in terms of its own output, and what counts as an active unit.
fn activate(x: vec4f) -> vec4f {
  return 1 / (1 + exp(-x));
}

fn derivative(y: vec4f) -> vec4f {
  return y * (1 - y);
}

const active_above = 0.5;
