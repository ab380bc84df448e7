// Operand B, stored [depth, columns]. Expects gemm/gemm.wgsl, b_at, b_element. Provides load_b, load_b_column, b_along_depth.
const b_along_depth = false;  // how it lies in memory

fn load_b_column(depth_block: u32, column: u32) -> vec4f {
  let depth = depth_block * 4;
  return vec4f(
    b_element(depth, gemm.column_blocks, column),
    b_element(depth + 1, gemm.column_blocks, column),
    b_element(depth + 2, gemm.column_blocks, column),
    b_element(depth + 3, gemm.column_blocks, column),
  );
}

fn load_b(depth_block: u32, column_block: u32) -> mat4x4f {
  let depth = depth_block * 4;
  return mat4x4f(
    b_at(depth, gemm.column_blocks, column_block),
    b_at(depth + 1, gemm.column_blocks, column_block),
    b_at(depth + 2, gemm.column_blocks, column_block),
    b_at(depth + 3, gemm.column_blocks, column_block),
  );
}
