// Operand A, stored [rows, depth]. Expects gemm/gemm.wgsl. Provides load_a, load_a_row, a_along_depth.
const a_along_depth = true;  // how it lies in memory

var<storage, read> a: array<vec4f>;

fn load_a_row(row: u32, depth_block: u32) -> vec4f {
  return a[row * gemm.depth_blocks + depth_block];
}

fn load_a(row_block: u32, depth_block: u32) -> mat4x4f {
  let stride = gemm.depth_blocks;
  let i = row_block * 4 * stride + depth_block;
  return mat4x4f(a[i], a[i + stride], a[i + 2 * stride], a[i + 3 * stride]);
}
