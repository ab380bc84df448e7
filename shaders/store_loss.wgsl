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

// Four values of a row: their gradient goes to memory, the sum of their squared errors comes back.
fn store_row(row: u32, column_block: u32, reconstruction: vec4f) -> f32 {
  let scale = 2 / (f32(step.rows) * f32(layer.columns));
  let difference = select(vec4f(0), reconstruction - input_at(row, column_block), row < step.rows);
  gradients[row * gemm.column_blocks + column_block] = scale * difference;
  return dot(difference, difference);
}

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let shift = bias[column_block];
  let row = row_block * 4;
  let first = store_row(row, column_block, block[0] + shift) + store_row(row + 1, column_block, block[1] + shift);
  let last = store_row(row + 2, column_block, block[2] + shift) + store_row(row + 3, column_block, block[3] + shift);
  squared_errors[row_block * gemm.column_blocks + column_block] = first + last;
}
