// For gemm/a.wgsl: A is the batch's input. Expects encoder_input(). Provides a_at.
fn a_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  return encoder_input(row, column_block);
}
