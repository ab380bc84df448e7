// gradients += sparsity_lambda * d(divergence)/d(hidden): the slope at the unit's mean, over the batch's rows.
// Expects step.wgsl, elementwise.wgsl, kl_sparsity.wgsl.
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> means: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = position(group, groups, thread);
  if (at.inside && at.row < step.rows) {
    let slope = kl_slope(means[at.column / 4], step.sparsity_target);
    gradients[at.index] += step.sparsity_lambda / f32(step.rows) * slope * column_mask(at.column);
  }
}
