// For rows/a.wgsl and rows/b.wgsl: the first layer takes the batch's input as it is. Expects input_at(). Provides encoder_input().
fn encoder_input(row: u32, column_block: u32) -> vec4f {
  return input_at(row, column_block);
}
