// Operand A, stored transposed: [depth, rows]. Expects gemm/gemm.wgsl. Provides load_a, load_a_row, a_along_depth.
const a_along_depth = false;  // how it lies in memory

var<storage, read> a: array<vec4f>;

fn load_a_row(row: u32, depth_block: u32) -> vec4f {
  let stride = gemm.row_blocks;
  let i = depth_block * 4 * stride + row / 4;
  let element = row % 4;
  return vec4f(a[i][element], a[i + stride][element], a[i + 2 * stride][element], a[i + 3 * stride][element]);
}

fn load_a(row_block: u32, depth_block: u32) -> mat4x4f {
  let stride = gemm.row_blocks;
  let i = depth_block * 4 * stride + row_block;
  return transpose(mat4x4f(a[i], a[i + stride], a[i + 2 * stride], a[i + 3 * stride]));
}
