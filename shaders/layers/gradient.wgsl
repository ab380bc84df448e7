// Ends the GEMM that takes a gradient back through a layer's weights to the output of the layer below: adds the sparsity
// penalty's gradient, if that output is the code, and multiplies by the derivative of the activation below.
// Expects gemm/gemm.wgsl, derivative(), penalty_gradient(). Provides store_block().
var<storage, read_write> gradients: array<vec4f>;
var<storage, read> outputs: array<vec4f>;

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let first = row_block * 4;
  for (var row = first; row < first + 4; row++) {
    let i = row * gemm.column_blocks + column_block;
    let output = outputs[i];
    let gradient = row_of(block, row - first) + penalty_gradient(row, column_block, output);
    gradients[i] = gradient * derivative(output);
  }
}
