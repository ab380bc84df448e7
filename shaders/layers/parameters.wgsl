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
  let first = row_block * 4;
  for (var row = first; row < first + 4; row++) {
    let i = row * own_blocks + column_block;
    take_weights(i, penalized(i, column_block, row_of(block, row - first)));
  }
}
