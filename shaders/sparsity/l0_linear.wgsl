// A penalty on L0, linear. What the kernels of jumprelu_*.wgsl need of it: penalised(), a latent's part of the term, and the
// term's derivatives, by a latent, by the norm of its decoder direction and by L0.
fn penalised(code: vec4f, stays: vec4<bool>, norm: vec4f) -> vec4f {
  return vec4f(stays);
}

fn by_code(code: vec4f, norm: vec4f) -> vec4f {
  return vec4f(0);
}

fn by_norm(code: vec4f, norm: vec4f) -> vec4f {
  return vec4f(0);
}

fn by_l0(l0: f32, target_l0: f32) -> f32 {
  return 1;
}
