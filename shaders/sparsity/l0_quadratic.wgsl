// A penalty on L0, (L0 / target - 1)^2: the term itself is in quadratic_sums.wgsl. See l0_linear.wgsl.
fn penalised(code: vec4f, stays: vec4<bool>, norm: vec4f) -> vec4f {
  return vec4f(0);
}

fn by_code(code: vec4f, norm: vec4f) -> vec4f {
  return vec4f(0);
}

fn by_norm(code: vec4f, norm: vec4f) -> vec4f {
  return vec4f(0);
}

fn by_l0(l0: f32, target_l0: f32) -> f32 {
  return 2 * (l0 / target_l0 - 1) / target_l0;
}
