// GEMM for software adapters without usable subgroups: each invocation keeps a tile of C in registers and reads its
// operands straight from memory. No workgroup memory and no barriers, which are slow on a processor. The sums are
// variables of their own, not an array: such adapters keep in memory whatever is indexed. What a smaller tile does not
// use is behind conditions on constants, which the compiler removes.
// Expects gemm/gemm.wgsl, load_a, load_b, store_block. Provides the entry point.
override tile_rows: u32 = 2;        // blocks of C an invocation, along rows: 1, 2 or 4
override tile_columns: u32 = 2;     // and along columns: 1 to 6
override threads_rows: u32 = 1;     // invocations a workgroup, along rows
override threads_columns: u32 = 8;  // and along columns

const max_columns = 6u;

@compute @workgroup_size(threads_columns, threads_rows)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = gemm.first_row + id.y * tile_rows;
  let column = gemm.first_column + id.x * tile_columns;
  if (row >= gemm.row_blocks || column >= gemm.column_blocks) {
    return;
  }
  // A tile that hangs over the edge computes the last block again and does not store it.
  let last_row = gemm.row_blocks - 1;
  let last_column = gemm.column_blocks - 1;
  let row1 = min(row + 1, last_row);
  let row2 = min(row + 2, last_row);
  let row3 = min(row + 3, last_row);

  var c00: mat4x4f; var c01: mat4x4f; var c02: mat4x4f; var c03: mat4x4f; var c04: mat4x4f; var c05: mat4x4f;
  var c10: mat4x4f; var c11: mat4x4f; var c12: mat4x4f; var c13: mat4x4f; var c14: mat4x4f; var c15: mat4x4f;
  var c20: mat4x4f; var c21: mat4x4f; var c22: mat4x4f; var c23: mat4x4f; var c24: mat4x4f; var c25: mat4x4f;
  var c30: mat4x4f; var c31: mat4x4f; var c32: mat4x4f; var c33: mat4x4f; var c34: mat4x4f; var c35: mat4x4f;
  for (var k = 0u; k < gemm.depth_blocks; k++) {
    let a0 = load_a(row, k);
    var a1: mat4x4f;
    var a2: mat4x4f;
    var a3: mat4x4f;
    if (tile_rows >= 2) { a1 = load_a(row1, k); }
    if (tile_rows == 4) { a2 = load_a(row2, k); a3 = load_a(row3, k); }

    let b0 = load_b(k, column);
    c00 += b0 * a0;
    if (tile_rows >= 2) { c10 += b0 * a1; }
    if (tile_rows == 4) { c20 += b0 * a2; c30 += b0 * a3; }
    if (tile_columns >= 2) {
      let b1 = load_b(k, min(column + 1, last_column));
      c01 += b1 * a0;
      if (tile_rows >= 2) { c11 += b1 * a1; }
      if (tile_rows == 4) { c21 += b1 * a2; c31 += b1 * a3; }
    }
    if (tile_columns >= 3) {
      let b2 = load_b(k, min(column + 2, last_column));
      c02 += b2 * a0;
      if (tile_rows >= 2) { c12 += b2 * a1; }
      if (tile_rows == 4) { c22 += b2 * a2; c32 += b2 * a3; }
    }
    if (tile_columns >= 4) {
      let b3 = load_b(k, min(column + 3, last_column));
      c03 += b3 * a0;
      if (tile_rows >= 2) { c13 += b3 * a1; }
      if (tile_rows == 4) { c23 += b3 * a2; c33 += b3 * a3; }
    }
    if (tile_columns >= 5) {
      let b4 = load_b(k, min(column + 4, last_column));
      c04 += b4 * a0;
      if (tile_rows >= 2) { c14 += b4 * a1; }
      if (tile_rows == 4) { c24 += b4 * a2; c34 += b4 * a3; }
    }
    if (tile_columns == 6) {
      let b5 = load_b(k, min(column + 5, last_column));
      c05 += b5 * a0;
      if (tile_rows >= 2) { c15 += b5 * a1; }
      if (tile_rows == 4) { c25 += b5 * a2; c35 += b5 * a3; }
    }
  }

  // Stored in a loop: what is done with a block is long, and is compiled once this way.
  var sums = array(
    c00, c01, c02, c03, c04, c05,
    c10, c11, c12, c13, c14, c15,
    c20, c21, c22, c23, c24, c25,
    c30, c31, c32, c33, c34, c35,
  );
  let rows = min(tile_rows, gemm.row_blocks - row);
  let columns = min(tile_columns, gemm.column_blocks - column);
  for (var i = 0u; i < rows; i++) {
    for (var j = 0u; j < columns; j++) {
      store_block(row + i, column + j, sums[i * max_columns + j]);
    }
  }
}
