// Takes the loss's gradient by the code back to the pre-activations, in place, and adds up over some rows what the gradients of
// thresholds and decoder norms are made of. One invocation a vec4 of latents in some neighbouring rows.
// Expects metrics/step.wgsl, sparsity/jumprelu_share.wgsl, by_code(), by_norm(). Provides the entry point.
override workgroup_size: u32 = 64;
override dead_after: u32;
override bandwidth: f32;

struct Sizes {
  column_blocks: u32,
  row_groups: u32,
  rows_each: u32,  // rows of a group
}

var<uniform> sizes: Sizes;
var<uniform> update: Step;
var<storage, read> pre_activations: array<vec4f>;
var<storage, read> thresholds: array<vec4f>;
var<storage, read> decoder_norms: array<vec4f>;
var<storage, read> silent_rows: array<vec4u>;
var<storage, read_write> gradients: array<vec4f>;
var<storage, read_write> threshold_shares: array<ThresholdShare>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let block = id.x;
  if (block >= sizes.column_blocks) {
    return;
  }
  let threshold = max(thresholds[block], vec4f(0));
  let norm = decoder_norms[block];
  let weights = update.coefficients.xy / f32(update.rows);
  let dead = silent_rows[block] > vec4u(dead_after);
  for (var group = id.y; group < sizes.row_groups; group += groups.y) {
    var share = ThresholdShare();
    let first = group * sizes.rows_each;
    for (var row = first; row < min(first + sizes.rows_each, update.rows); row++) {
      let at = row * sizes.column_blocks + block;
      let pre = pre_activations[at];
      let stays = !(pre <= threshold);
      let value = select(vec4f(0), pre, stays);
      let gradient = gradients[at] + weights.x * by_code(value, norm);
      let near = abs(pre - threshold) < vec4f(0.5 * bandwidth);
      let below = dead & (pre < threshold);
      share.through_code += select(vec4f(0), gradient, near);
      share.near += vec4f(near);
      share.by_norm += weights.x * by_norm(value, norm) + weights.y * select(vec4f(0), threshold - pre, below);
      share.below += vec4f(below);
      gradients[at] = select(vec4f(0), gradient, stays) - select(vec4f(0), weights.y * norm, below);
    }
    threshold_shares[group * sizes.column_blocks + block] = share;
  }
}
