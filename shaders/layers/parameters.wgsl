// Ends the GEMM that makes the gradient of a layer's weights. The block of columns after the weights' own holds the bias's
// gradient in its first column; see layers/ones.wgsl.
// Expects gemm/gemm.wgsl, penalized(), take_weights(), take_biases(). Provides store_block().
fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  if (state.halted != 0) {
    return;
  }
  let own_blocks = gemm.column_blocks - 1;
  if (column_block == own_blocks) {
    take_biases(row_block, vec4f(block[0].x, block[1].x, block[2].x, block[3].x));
    return;
  }
  let i = row_block * 4 * own_blocks + column_block;
  take_weights(i, penalized(i, column_block, block[0]));
  take_weights(i + own_blocks, penalized(i + own_blocks, column_block, block[1]));
  take_weights(i + 2 * own_blocks, penalized(i + 2 * own_blocks, column_block, block[2]));
  take_weights(i + 3 * own_blocks, penalized(i + 3 * own_blocks, column_block, block[3]));
}
