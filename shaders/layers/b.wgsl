// For layers/ones.wgsl: B is a layer's output, [depth, columns]. Expects gemm/gemm.wgsl. Provides b_at(), b_element().
var<storage, read> b: array<vec4f>;

fn b_at(row: u32, column_block: u32) -> vec4f {
  return b[row * (gemm.column_blocks - 1) + column_block];
}

fn b_element(row: u32, column: u32) -> f32 {
  return b[row * (gemm.column_blocks - 1) + column / 4][column % 4];
}
