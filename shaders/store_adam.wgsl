// Ends the GEMM that makes a weight's gradient with Adam's update of that weight, so that the gradient is never stored.
// The block of columns after the weight's own holds the bias's gradient in its first column; see gemm_b_ones.wgsl.
// Expects gemm.wgsl, step.wgsl, adam_rule.wgsl. Provides store_block.
@group(0) @binding(3) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> weight_moments: array<vec4f>;  // m and v of each vec4 in turn
@group(0) @binding(9) var<storage, read_write> biases: array<vec4f>;
@group(0) @binding(10) var<storage, read_write> bias_moments: array<vec4f>;
@group(0) @binding(11) var<uniform> state: State;
@group(0) @binding(12) var<uniform> update: Step;

fn update_weights(i: u32, gradient: vec4f) {
  let after = adam(Adam(weights[i], weight_moments[2 * i], weight_moments[2 * i + 1]), gradient, update);
  weights[i] = after.value;
  weight_moments[2 * i] = after.m;
  weight_moments[2 * i + 1] = after.v;
}

fn update_biases(i: u32, gradient: vec4f) {
  let after = adam(Adam(biases[i], bias_moments[2 * i], bias_moments[2 * i + 1]), gradient, update);
  biases[i] = after.value;
  bias_moments[2 * i] = after.m;
  bias_moments[2 * i + 1] = after.v;
}

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  if (state.halted != 0) {
    return;
  }
  let own_blocks = gemm.column_blocks - 1;
  if (column_block == own_blocks) {
    update_biases(row_block, vec4f(block[0].x, block[1].x, block[2].x, block[3].x));
    return;
  }
  let i = row_block * 4 * own_blocks + column_block;
  update_weights(i, block[0]);
  update_weights(i + own_blocks, block[1]);
  update_weights(i + 2 * own_blocks, block[2]);
  update_weights(i + 3 * own_blocks, block[3]);
}
