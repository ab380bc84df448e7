// The gradients of thresholds, and the factors of decoder directions in these directions' own gradients.
// One invocation a vec4 of latents. coefficients: of l0_loss, of pre_act, unused, the target of L0.
// Expects metrics/step.wgsl, sparsity/jumprelu_share.wgsl, by_l0(). Provides the entry point.
override workgroup_size: u32 = 64;
override bandwidth: f32;

struct Sizes {
  column_blocks: u32,
  row_groups: u32,
}

var<uniform> sizes: Sizes;
var<uniform> update: Step;
var<uniform> state: State;
var<storage, read> log_of_steps: array<StepLog>;
var<storage, read> thresholds: array<vec4f>;
var<storage, read> decoder_norms: array<vec4f>;
var<storage, read> threshold_shares: array<ThresholdShare>;
var<storage, read_write> threshold_gradients: array<vec4f>;
var<storage, read_write> decoder_factors: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let block = id.x;
  if (block >= sizes.column_blocks) {
    return;
  }
  var sum = ThresholdShare();
  for (var group = 0u; group < sizes.row_groups; group++) {
    let share = threshold_shares[group * sizes.column_blocks + block];
    sum.through_code += share.through_code;
    sum.near += share.near;
    sum.by_norm += share.by_norm;
    sum.below += share.below;
  }
  let rows = f32(update.rows);
  let weights = update.coefficients / rows;
  // The step that log.wgsl has counted.
  let l0 = f32(log_of_steps[state.done - 1].active_latents) / rows;
  let threshold = thresholds[block];
  let norm = decoder_norms[block];
  let gradient = weights.y * norm * sum.below
    - (threshold * sum.through_code + weights.x * by_l0(l0, update.coefficients.w) * sum.near) / bandwidth;
  threshold_gradients[block] = select(vec4f(0), gradient, threshold > vec4f(0));
  // At 0 the norm has no gradient; 0 is used, as in PyTorch.
  decoder_factors[block] = select(vec4f(0), sum.by_norm / norm, norm > vec4f(0));
}
