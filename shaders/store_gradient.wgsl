// Ends the GEMM that takes a gradient back through a layer's weights: with the sparsity penalty's slope, if the layer
// below is the last encoder layer, and the derivative of that layer's activation. Expects gemm.wgsl, derivative(), penalty_slope().
// Provides store_block.
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(8) var<storage, read> outputs: array<vec4f>;

fn store_row(row: u32, column_block: u32, gradient: vec4f) {
  let i = row * gemm.column_blocks + column_block;
  gradients[i] = (gradient + penalty_slope(row, column_block)) * derivative(outputs[i]);
}

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let row = row_block * 4;
  store_row(row, column_block, block[0]);
  store_row(row + 1, column_block, block[1]);
  store_row(row + 2, column_block, block[2]);
  store_row(row + 3, column_block, block[3]);
}
