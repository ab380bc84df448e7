// GEMM for software adapters: each invocation keeps a tile of C in registers and reads its operands straight from
// memory. No workgroup memory and no barriers, which a processor pays for dearly.
// Expects gemm.wgsl, load_a, load_b, store_block. Provides the entry point.
override tile_rows: u32 = 1;        // blocks of C an invocation, along rows: at most 4
override tile_columns: u32 = 1;     // and along columns: at most 4
override threads_rows: u32 = 8;     // invocations a workgroup, along rows
override threads_columns: u32 = 8;  // and along columns

const max_tile = 4u;

@compute @workgroup_size(threads_columns, threads_rows)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let first_row = id.y * tile_rows;
  let first_column = id.x * tile_columns;
  if (first_row >= gemm.row_blocks || first_column >= gemm.column_blocks) {
    return;
  }
  // A tile that hangs over the edge computes the last block again and does not store it.
  let last_row = gemm.row_blocks - 1;
  let last_column = gemm.column_blocks - 1;

  var sums: array<mat4x4f, max_tile * max_tile>;
  for (var k = 0u; k < gemm.depth_blocks; k++) {
    var b_blocks: array<mat4x4f, max_tile>;
    for (var j = 0u; j < tile_columns; j++) {
      b_blocks[j] = load_b(k, min(first_column + j, last_column));
    }
    for (var i = 0u; i < tile_rows; i++) {
      let a_block = load_a(min(first_row + i, last_row), k);
      for (var j = 0u; j < tile_columns; j++) {
        sums[i * max_tile + j] += b_blocks[j] * a_block;
      }
    }
  }

  for (var i = 0u; i < tile_rows; i++) {
    for (var j = 0u; j < tile_columns; j++) {
      if (first_row + i <= last_row && first_column + j <= last_column) {
        store_block(first_row + i, first_column + j, sums[i * max_tile + j]);
      }
    }
  }
}
