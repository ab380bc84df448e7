// For metrics/log.wgsl: the terms are their sums, and the second is the threshold that all latents share. Provides terms_of().
var<storage, read> thresholds: array<f32>;

fn terms_of(sums: vec4f, l0: f32) -> vec4f {
  return vec4f(sums.x, thresholds[0], sums.zw);
}
