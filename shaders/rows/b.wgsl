// For layers/ones.wgsl: B is the batch's input. Expects encoder_input(). Provides b_at, b_element.
fn b_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  return encoder_input(row, column_block);
}

fn b_element(row: u32, stride: u32, column: u32) -> f32 {
  return encoder_input(row, column / 4)[column % 4];
}
