// The code of a batch: pre-activations that are above their thresholds, and 0 for the others; and its sums over rows, of which
// the penalty is made. One invocation a block.
// Expects gemm/gemm.wgsl, whose blocks are those of the code, metrics/step.wgsl, penalised(). Provides the entry point.
override workgroup_size: u32 = 64;
override dead_after: u32;

var<uniform> step: Step;
var<storage, read> pre_activations: array<vec4f>;
var<storage, read> thresholds: array<vec4f>;
var<storage, read> decoder_norms: array<vec4f>;
var<storage, read> silent_rows: array<vec4u>;
var<storage, read_write> code: array<vec4f>;
var<storage, read_write> column_sums: array<vec4f>;   // of the penalty
var<storage, read_write> pre_act_sums: array<vec4f>;  // of how far dead latents are below their thresholds
var<storage, read_write> active_counts: array<u32>;   // a byte a column

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let column_block = id.x;
  if (column_block >= gemm.column_blocks) {
    return;
  }
  let stride = gemm.column_blocks;
  let threshold = max(thresholds[column_block], vec4f(0));
  let norm = decoder_norms[column_block];
  let dead = silent_rows[column_block] > vec4u(dead_after);
  for (var row_block = id.y; row_block < gemm.row_blocks; row_block += groups.y) {
    var sum = vec4f(0);
    var below = vec4f(0);
    var active_latents = vec4u(0);
    for (var i = 0u; i < 4; i++) {
      let row = row_block * 4 + i;
      let pre = pre_activations[row * stride + column_block];
      // Not 0 where it is NaN, so that the loss becomes NaN, too.
      let stays = !(pre <= threshold);
      let value = select(vec4f(0), pre, stays);
      code[row * stride + column_block] = value;
      if (row < step.rows) {
        sum += penalised(value, stays, norm);
        below += select(vec4f(0), max(threshold - pre, vec4f(0)), dead);
        active_latents += vec4u(stays);
      }
    }
    let at = row_block * stride + column_block;
    column_sums[at] = sum;
    pre_act_sums[at] = below;
    active_counts[at] = dot(active_latents, vec4u(1, 1 << 8, 1 << 16, 1 << 24));
  }
}
