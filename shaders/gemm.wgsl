// What every GEMM shares: C = A·B, with sizes counted in 4x4 blocks. Matrices are row-major, and their rows and
// columns are padded with zeros to multiples of 4, so a block never reaches outside its matrix.
// A block is a mat4x4f: of A and C, column i holds row i of the block; of B, column i holds row i of the block.
// Then C += A·B of the matrices reads c += b * a of the blocks. Provides gemm.
struct Gemm {
  row_blocks: u32,     // of C and A
  column_blocks: u32,  // of C and B
  depth_blocks: u32,   // the sum's length
}

@group(0) @binding(0) var<uniform> gemm: Gemm;

// Row i of a block of C. By selection: an index that is not constant would make compilers unroll the loop round it,
// and software adapters take seconds to compile what is unrolled.
fn block_row(block: mat4x4f, i: u32) -> vec4f {
  return select(select(block[0], block[1], i == 1), select(block[2], block[3], i == 3), i >= 2);
}

// How many rows of a block there are: always 4, which compilers must not know, for the same reason.
fn rows_of_block(row_block: u32) -> u32 {
  return min(4u, (gemm.row_blocks - row_block) * 4);
}
