// Provides activate(), its derivative in terms of its own output, and what counts as an active unit.
fn activate(x: vec4f) -> vec4f {
  return max(x, vec4f(0));
}

fn derivative(y: vec4f) -> vec4f {
  return select(vec4f(0), vec4f(1), y > vec4f(0));
}

const active_above = 0.0;
