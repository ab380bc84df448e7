// Operand A, stored transposed: [depth, rows]. Expects gemm.wgsl. Provides load_a.
@group(0) @binding(1) var<storage, read> a: array<vec4f>;

fn load_a(row_block: u32, depth_block: u32) -> mat4x4f {
  let stride = gemm.row_blocks;
  let i = depth_block * 4 * stride + row_block;
  return transpose(mat4x4f(a[i], a[i + stride], a[i + 2 * stride], a[i + 3 * stride]));
}
