// For sparse/select.wgsl: any latent may be selected. coefficients.w: how many of a row. Expects key_of(). Provides considered(), wanted().
fn considered(bits: vec4u, block: u32) -> vec4u {
  return key_of(bits);
}

fn wanted() -> u32 {
  return u32(step.coefficients.w);
}
