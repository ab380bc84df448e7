// For sparsity/topk.wgsl: as many latents of a row stay as the model keeps. Provides wanted().
var<uniform> k: u32;

fn wanted() -> u32 {
  return k;
}
