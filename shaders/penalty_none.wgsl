// For store_gradient.wgsl: the penalty acts on the last encoder layer only. Provides penalty_slope().
fn penalty_slope(row: u32, column_block: u32) -> vec4f {
  return vec4f(0);
}
