// Operand B, stored [depth, columns]. Expects gemm/gemm.wgsl. Provides load_b, load_b_column, b_along_depth.
const b_along_depth = false;  // how it lies in memory

var<storage, read> b: array<vec4f>;

fn load_b_column(depth_block: u32, column: u32) -> vec4f {
  let stride = gemm.column_blocks;
  let i = depth_block * 4 * stride + column / 4;
  let element = column % 4;
  return vec4f(b[i][element], b[i + stride][element], b[i + 2 * stride][element], b[i + 3 * stride][element]);
}

fn load_b(depth_block: u32, column_block: u32) -> mat4x4f {
  let stride = gemm.column_blocks;
  let i = depth_block * 4 * stride + column_block;
  return mat4x4f(b[i], b[i + stride], b[i + 2 * stride], b[i + 3 * stride]);
}
