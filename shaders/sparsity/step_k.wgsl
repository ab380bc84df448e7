// For sparsity/topk.wgsl: as many latents of a row stay as the step's record says. coefficients.w: how many.
// Expects metrics/step.wgsl. Provides wanted().
var<uniform> step: Step;

fn wanted() -> u32 {
  return u32(step.coefficients.w);
}
