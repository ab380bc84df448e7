// Ends the GEMM that takes a gradient back through a layer's weights to the output of the layer below: adds the sparsity
// penalty's gradient, if that output is the code, and multiplies by the derivative of the activation below.
// Expects gemm/gemm.wgsl, derivative(), penalty_gradient(). Provides store_block().
var<storage, read_write> gradients: array<vec4f>;
var<storage, read> outputs: array<vec4f>;

fn store_row(row: u32, column_block: u32, gradient: vec4f) {
  let i = row * gemm.column_blocks + column_block;
  let output = outputs[i];
  gradients[i] = (gradient + penalty_gradient(row, column_block, output)) * derivative(output);
}

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let row = row_block * 4;
  store_row(row, column_block, block[0]);
  store_row(row + 1, column_block, block[1]);
  store_row(row + 2, column_block, block[2]);
  store_row(row + 3, column_block, block[3]);
}
