// What every GEMM shares: C = A·B, with sizes counted in 4x4 blocks. Matrices are row-major, and their rows and
// columns are padded with zeros to multiples of 4, so a block never reaches outside its matrix.
// A block is a mat4x4f: of A and C, column i holds row i of the block; of B, column i holds row i of the block.
// Then C += A·B of the matrices reads c += b * a of the blocks. Provides gemm, row_of().
struct Gemm {
  row_blocks: u32,     // of C and A
  column_blocks: u32,  // of C and B
  depth_blocks: u32,   // the sum's length
  first_row: u32,      // blocks before those of this dispatch, along rows: a large product is several dispatches
  first_column: u32,   // and along columns
}

var<uniform> gemm: Gemm;

// Row 0 to 3 of a block. By selection: software adapters keep in memory what is indexed.
// What is done with a finished block goes row by row in a loop from the block's first row: it may be long, and where the
// number of turns does not show, Mesa's compiler leaves the loop as it is and takes a half to a third of the time.
fn row_of(block: mat4x4f, row: u32) -> vec4f {
  return select(select(block[0], block[1], row == 1), select(block[2], block[3], row == 3), row > 1);
}
