// The plain ending of a GEMM: a finished block of C goes to memory. Expects gemm/gemm.wgsl. Provides store_block.
var<storage, read_write> c: array<vec4f>;

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let stride = gemm.column_blocks;
  let i = row_block * 4 * stride + column_block;
  c[i] = block[0];
  c[i + stride] = block[1];
  c[i + 2 * stride] = block[2];
  c[i + 3 * stride] = block[3];
}
