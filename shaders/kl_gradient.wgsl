// gradients += sparsity_lambda * d(divergence)/d(hidden): the slope at the unit's mean, over the batch's rows.
// Expects step.wgsl, elementwise.wgsl, kl_sparsity.wgsl.
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> means: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;  // of vec4s
  let first_row = id.y * rows_each;
  let slope = kl_slope(means[column], step.sparsity_target) * column_mask(column);
  let gradient = step.sparsity_lambda / f32(step.rows) * slope;
  for (var row = first_row; row < end_row(first_row, column); row++) {
    let i = row * matrix.column_blocks + column;
    if (row < step.rows) {
      gradients[i] += gradient;
    }
  }
}
