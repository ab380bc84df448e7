// For layers/gradient.wgsl: the penalty's gradient by each latent, which is the same in every row of the batch.
// Expects metrics/step.wgsl. Provides penalty_gradient().
var<uniform> update: Step;
var<storage, read> penalty_gradients: array<vec4f>;

fn penalty_gradient(row: u32, column_block: u32, output: vec4f) -> vec4f {
  return select(vec4f(0), penalty_gradients[column_block], row < update.rows);
}
