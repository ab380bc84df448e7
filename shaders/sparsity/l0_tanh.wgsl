// A penalty in the place of L0: tanh(4 * latent * norm of its decoder direction). See l0_linear.wgsl.
const tanh_scale = 4.0;

fn penalised(code: vec4f, stays: vec4<bool>, norm: vec4f) -> vec4f {
  return tanh(limited(code, norm));
}

// tanh of more is 1 in f32, and some compilers' tanh() of much more is NaN.
fn limited(code: vec4f, norm: vec4f) -> vec4f {
  return min(tanh_scale * code * norm, vec4f(20));
}

fn slope(code: vec4f, norm: vec4f) -> vec4f {
  let y = tanh(limited(code, norm));
  return tanh_scale * (1 - y * y);
}

fn by_code(code: vec4f, norm: vec4f) -> vec4f {
  return norm * slope(code, norm);
}

fn by_norm(code: vec4f, norm: vec4f) -> vec4f {
  return code * slope(code, norm);
}

fn by_l0(l0: f32, target_l0: f32) -> f32 {
  return 0;
}
