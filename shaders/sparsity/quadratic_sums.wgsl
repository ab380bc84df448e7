// For metrics/log.wgsl: the first term is a function of L0, the number of active latents a row.
// coefficients.w: the target of L0. Expects metrics/step.wgsl. Provides terms_of().
fn terms_of(sums: vec4f, l0: f32) -> vec4f {
  let excess = l0 / step.coefficients.w - 1;
  return vec4f(excess * excess, sums.yzw);
}
