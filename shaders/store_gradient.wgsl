// Ends the GEMM that takes a gradient back through a layer's weights: with the sparsity penalty's slope, if the layer
// below is the last encoder layer, and the derivative of that layer's activation. Expects gemm.wgsl, derivative(), penalty_slope().
// Provides store_block.
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(8) var<storage, read> outputs: array<vec4f>;

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  for (var i = 0u; i < rows_of_block(row_block); i++) {
    let row = row_block * 4 + i;
    let at = row * gemm.column_blocks + column_block;
    gradients[at] = (block_row(block, i) + penalty_slope(row, column_block)) * derivative(outputs[at]);
  }
}
