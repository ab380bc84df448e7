// For sparse/dead.wgsl: a latent is active where sparse/mark_active.wgsl marked it. Provides was_active().
var<storage, read> marks: array<u32>;

fn was_active(latent: u32) -> bool {
  return marks[latent] != 0;
}
