// Operand B, stored transposed: [columns, depth]. Expects gemm/gemm.wgsl, b_at. Provides load_b, load_b_column, b_along_depth.
const b_along_depth = true;  // how it lies in memory

fn load_b_column(depth_block: u32, column: u32) -> vec4f {
  return b_at(column, gemm.depth_blocks, depth_block);
}

fn load_b(depth_block: u32, column_block: u32) -> mat4x4f {
  let column = column_block * 4;
  return transpose(mat4x4f(
    load_b_column(depth_block, column),
    load_b_column(depth_block, column + 1),
    load_b_column(depth_block, column + 2),
    load_b_column(depth_block, column + 3),
  ));
}
