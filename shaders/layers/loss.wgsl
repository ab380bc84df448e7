// Ends the last decoder layer's GEMM with its bias, the reconstruction loss and its gradient. The reconstruction is not
// stored. Loss: mean over rows of the sum of a row's (reconstruction - input)^2 / divisor. Rows past the batch's end have gradient 0, so that
// they do not count in the backward pass. Expects gemm/gemm.wgsl, metrics/step.wgsl, input_at(). Provides store_block().
var<uniform> step: Step;
var<storage, read_write> gradients: array<vec4f>;
var<storage, read> bias: array<vec4f>;
var<uniform> divisor: f32;  // of a row's sum: see src/sae/step/divisor.ts
var<storage, read_write> squared_errors: array<f32>;

// Of four values of a row: stores their gradient, returns the sum of their squared errors.
fn store_row(row: u32, column_block: u32, reconstruction: vec4f) -> f32 {
  let scale = 2 / (f32(step.rows) * divisor);
  let difference = select(vec4f(0), reconstruction - input_at(row, column_block), row < step.rows);
  gradients[row * gemm.column_blocks + column_block] = scale * difference;
  return dot(difference, difference);
}

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let shift = bias[column_block];
  let first = row_block * 4;
  var errors = vec4f();
  for (var row = first; row < first + 4; row++) {
    let error = store_row(row, column_block, row_of(block, row - first) + shift);
    errors = select(errors, vec4f(error), vec4u(0, 1, 2, 3) == vec4u(row - first));
  }
  squared_errors[row_block * gemm.column_blocks + column_block] = (errors.x + errors.y) + (errors.z + errors.w);
}
