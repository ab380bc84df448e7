// Ends the last decoder layer's GEMM with its bias, the reconstruction loss and its gradient: the reconstruction
// itself is not stored. Loss: mean over rows and inputs of (reconstruction - input)^2. Rows past the batch's end have gradient 0, which
// keeps them out of everything before. Expects gemm.wgsl, step.wgsl with a variable `step`, input_at(). Provides store_block.
struct Layer {
  columns: u32,  // without padding
}

@group(0) @binding(3) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(8) var<storage, read> bias: array<vec4f>;
@group(0) @binding(9) var<uniform> layer: Layer;
@group(0) @binding(10) var<storage, read_write> squared_errors: array<f32>;

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let scale = 2 / (f32(step.rows) * f32(layer.columns));
  let shift = bias[column_block];
  var sum = 0.0;
  for (var i = 0u; i < rows_of_block(row_block); i++) {
    let row = row_block * 4 + i;
    var difference = vec4f(0);
    if (row < step.rows) {
      difference = block_row(block, i) + shift - input_at(row, column_block);
    }
    sum += dot(difference, difference);
    gradients[row * gemm.column_blocks + column_block] = scale * difference;
  }
  squared_errors[row_block * gemm.column_blocks + column_block] = sum;
}
