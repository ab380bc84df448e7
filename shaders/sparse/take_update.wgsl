// For sparse/update.wgsl: updates weights, from their gradient scaled as optimizer/clip.wgsl says.
// Expects metrics/step.wgsl, update_rule() and its structs, moments_at(), keep_moments(). Provides updates, take(), end_latent().
const updates = true;

var<storage, read> gradient_scale: f32;

fn take(i: u32, weight: vec4f, gradient: vec4f) {
  let after = update_rule(weight, gradient_scale * gradient, moments_at(i), update);
  weights[i] = after.value;
  keep_moments(i, after.moments);
}

fn end_latent(latent: u32, lane: u32) {
}
