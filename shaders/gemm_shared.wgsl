// GEMM for GPUs: a workgroup copies slices of A and B into workgroup memory, where each of its invocations reads
// the part that its tile of C needs.
// Expects gemm.wgsl, load_a, load_b, store_block. Provides the entry point.
override tile_rows: u32 = 1;         // blocks of C an invocation, along rows: at most 4
override tile_columns: u32 = 1;      // and along columns: at most 4
override threads_rows: u32 = 16;     // invocations a workgroup, along rows
override threads_columns: u32 = 16;  // and along columns
override slice_depth: u32 = 4;       // blocks of the sum held at a time

override group_rows = threads_rows * tile_rows;
override group_columns = threads_columns * tile_columns;
override threads = threads_rows * threads_columns;
override a_slice_blocks = group_rows * slice_depth;
override b_slice_blocks = slice_depth * group_columns;

const max_tile = 4u;

var<workgroup> a_slice: array<mat4x4f, a_slice_blocks>;
var<workgroup> b_slice: array<mat4x4f, b_slice_blocks>;

@compute @workgroup_size(threads_columns, threads_rows)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_row = group.y * group_rows;
  let first_column = group.x * group_columns;

  var sums: array<mat4x4f, max_tile * max_tile>;
  for (var k = 0u; k < gemm.depth_blocks; k += slice_depth) {
    // Blocks outside a matrix are zeros: the sum may hang over its end. No early return: every invocation must
    // reach the barriers.
    for (var i = thread; i < a_slice_blocks; i += threads) {
      let row = first_row + i / slice_depth;
      let depth = k + i % slice_depth;
      var block = mat4x4f();
      if (row < gemm.row_blocks && depth < gemm.depth_blocks) {
        block = load_a(row, depth);
      }
      a_slice[i] = block;
    }
    for (var i = thread; i < b_slice_blocks; i += threads) {
      let depth = k + i / group_columns;
      let column = first_column + i % group_columns;
      var block = mat4x4f();
      if (depth < gemm.depth_blocks && column < gemm.column_blocks) {
        block = load_b(depth, column);
      }
      b_slice[i] = block;
    }
    workgroupBarrier();

    for (var d = 0u; d < slice_depth; d++) {
      var b_blocks: array<mat4x4f, max_tile>;
      for (var j = 0u; j < tile_columns; j++) {
        b_blocks[j] = b_slice[d * group_columns + j * threads_columns + local.x];
      }
      for (var i = 0u; i < tile_rows; i++) {
        let a_block = a_slice[(i * threads_rows + local.y) * slice_depth + d];
        for (var j = 0u; j < tile_columns; j++) {
          sums[i * max_tile + j] += b_blocks[j] * a_block;
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < tile_rows; i++) {
    for (var j = 0u; j < tile_columns; j++) {
      let row = first_row + i * threads_rows + local.y;
      let column = first_column + j * threads_columns + local.x;
      if (row < gemm.row_blocks && column < gemm.column_blocks) {
        store_block(row, column, sums[i * max_tile + j]);
      }
    }
  }
}
