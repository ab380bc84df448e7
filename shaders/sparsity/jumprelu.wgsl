// The terms of JumpReLU: the penalty on L0, what keeps dead latents near their thresholds, and the mean threshold.
// Expects metrics/step.wgsl and metrics/statistics.wgsl. Provides penalize().
var<storage, read> thresholds: array<vec4f>;
var<storage, read> decoder_norms: array<vec4f>;
var<storage, read> pre_act_sums: array<vec4f>;

fn penalize(block: u32, mean: vec4f, exists: vec4<bool>) -> vec4f {
  var below = vec4f(0);
  for (var row_block = 0u; row_block < sizes.row_blocks; row_block++) {
    below += pre_act_sums[row_block * sizes.latent_blocks + block];
  }
  let threshold = max(thresholds[block], vec4f(0));
  let ones = vec4f(1);
  return vec4f(
    dot(mean, ones),
    dot(below, decoder_norms[block]) / f32(step.rows),
    dot(threshold, ones) / f32(sizes.latents),
    0,
  );
}
