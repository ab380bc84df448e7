// The plain ending of a GEMM: a finished block of C goes to memory. Expects gemm/gemm.wgsl. Provides store_block.
var<storage, read_write> c: array<vec4f>;

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let first = row_block * 4;
  for (var row = first; row < first + 4; row++) {
    c[row * gemm.column_blocks + column_block] = row_of(block, row - first);
  }
}
