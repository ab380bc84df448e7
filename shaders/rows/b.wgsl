// For layers/ones.wgsl: B is the batch's input. Expects input_at(). Provides b_at(), b_element().
fn b_at(row: u32, column_block: u32) -> vec4f {
  return input_at(row, column_block);
}

fn b_element(row: u32, column: u32) -> f32 {
  return input_at(row, column / 4)[column % 4];
}
