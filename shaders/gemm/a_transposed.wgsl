// Operand A, stored transposed: [depth, rows]. Expects gemm/gemm.wgsl, a_at, a_element. Provides load_a, load_a_row, a_along_depth.
const a_along_depth = false;  // how it lies in memory

fn load_a_row(row: u32, depth_block: u32) -> vec4f {
  let depth = depth_block * 4;
  return vec4f(
    a_element(depth, gemm.row_blocks, row),
    a_element(depth + 1, gemm.row_blocks, row),
    a_element(depth + 2, gemm.row_blocks, row),
    a_element(depth + 3, gemm.row_blocks, row),
  );
}

fn load_a(row_block: u32, depth_block: u32) -> mat4x4f {
  let depth = depth_block * 4;
  return transpose(mat4x4f(
    a_at(depth, gemm.row_blocks, row_block),
    a_at(depth + 1, gemm.row_blocks, row_block),
    a_at(depth + 2, gemm.row_blocks, row_block),
    a_at(depth + 3, gemm.row_blocks, row_block),
  ));
}
