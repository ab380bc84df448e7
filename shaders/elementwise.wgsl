// For kernels that treat every vec4 of a [rows, columns] matrix alike: an invocation takes one column of vec4s over a
// few rows. Starting an invocation costs a software adapter more than such work itself, and so does dividing an
// index into row and column. Provides matrix, end_row() and column_mask().
override workgroup_size: u32 = 32;
override rows_each: u32 = 8;

struct Matrix {
  row_count: u32,      // padded to a multiple of 4
  column_blocks: u32,  // vec4s a row
  columns: u32,        // without padding
}

@group(0) @binding(0) var<uniform> matrix: Matrix;

// The row after the last of those that begin at `first_row`; none where the column does not exist.
fn end_row(first_row: u32, column: u32) -> u32 {
  return select(0, min(first_row + rows_each, matrix.row_count), column < matrix.column_blocks);
}

// 1 where the vec4's columns exist, 0 in the padding.
fn column_mask(column: u32) -> vec4f {
  return select(vec4f(0), vec4f(1), vec4u(column * 4) + vec4u(0, 1, 2, 3) < vec4u(matrix.columns));
}
