// What every GEMM shares: C = A·B, with sizes counted in 4x4 blocks. Matrices are row-major, and their rows and
// columns are padded with zeros to multiples of 4, so a block never reaches outside its matrix.
// A block is a mat4x4f: of A and C, column i holds row i of the block; of B, column i holds row i of the block.
// Then C += A·B of the matrices reads c += b * a of the blocks. Provides gemm.
struct Gemm {
  row_blocks: u32,     // of C and A
  column_blocks: u32,  // of C and B
  depth_blocks: u32,   // the sum's length
}

var<uniform> gemm: Gemm;
