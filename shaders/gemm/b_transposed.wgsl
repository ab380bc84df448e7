// Operand B, stored transposed: [columns, depth]. Expects gemm/gemm.wgsl. Provides load_b, load_b_column, b_along_depth.
const b_along_depth = true;  // how it lies in memory

var<storage, read> b: array<vec4f>;

fn load_b_column(depth_block: u32, column: u32) -> vec4f {
  return b[column * gemm.depth_blocks + depth_block];
}

fn load_b(depth_block: u32, column_block: u32) -> mat4x4f {
  let stride = gemm.depth_blocks;
  let i = column_block * 4 * stride + depth_block;
  return transpose(mat4x4f(b[i], b[i + stride], b[i + 2 * stride], b[i + 3 * stride]));
}
