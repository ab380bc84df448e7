// GEMM for GPUs: a workgroup copies slices of A and B into workgroup memory, where each of its invocations reads what its
// tile of C needs: for every step of the sum one or two vec4s of each operand, for 16 to 64 multiply-adds.
// Expects gemm/gemm.wgsl, load_a, a_along_depth, load_b, b_along_depth, store_block. Provides the entry point.
override tile_rows: u32 = 2;         // blocks of C an invocation, along rows: 1 or 2
override tile_columns: u32 = 2;      // and along columns: 1 or 2
override threads_rows: u32 = 16;     // invocations a workgroup, along rows
override threads_columns: u32 = 16;  // and along columns
override slice_depth: u32 = 2;       // blocks of the sum held at a time

override group_rows = threads_rows * tile_rows;
override group_columns = threads_columns * tile_columns;
override threads = threads_rows * threads_columns;
override a_slice_blocks = group_rows * slice_depth;
override b_slice_blocks = group_columns * slice_depth;
override a_turns = (a_slice_blocks + threads - 1) / threads;
override b_turns = (b_slice_blocks + threads - 1) / threads;
// A line holds the vec4s of all blocks at one depth of the sum. One more vec4 avoids bank conflicts: what is written to several
// lines at once is then in several banks.
override a_line = group_rows + 1;
override b_line = group_columns + 1;
override slice_lines = slice_depth * 4;
override a_slice_size = slice_lines * a_line;
override b_slice_size = slice_lines * b_line;

var<workgroup> a_slice: array<vec4f, a_slice_size>;
var<workgroup> b_slice: array<vec4f, b_slice_size>;

// sums + a · bᵀ for four rows of a and four columns of b.
fn add_outer(sums: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, sums[0]),
    fma(vec4f(a.y), b, sums[1]),
    fma(vec4f(a.z), b, sums[2]),
    fma(vec4f(a.w), b, sums[3]),
  );
}

@compute @workgroup_size(threads_columns, threads_rows)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_row = gemm.first_row + group.y * group_rows;
  let first_column = gemm.first_column + group.x * group_columns;

  // Named, not indexed: an array of sums may end up in memory.
  var c00: mat4x4f;
  var c01: mat4x4f;
  var c10: mat4x4f;
  var c11: mat4x4f;
  for (var k = 0u; k < gemm.depth_blocks; k += slice_depth) {
    // Neighbouring invocations read along the way the matrix lies in memory. Blocks outside it are zeros: the sum may hang
    // over its end. No early return: every invocation must reach the barriers.
    for (var turn = 0u; turn < a_turns; turn++) {
      let i = turn * threads + thread;
      let row = select(i % group_rows, i / slice_depth, a_along_depth);
      let depth = select(i / group_rows, i % slice_depth, a_along_depth);
      var block = mat4x4f();
      if (i < a_slice_blocks && first_row + row < gemm.row_blocks && k + depth < gemm.depth_blocks) {
        block = transpose(load_a(first_row + row, k + depth));
      }
      if (i < a_slice_blocks) {
        let at = depth * 4 * a_line + row;
        a_slice[at] = block[0];
        a_slice[at + a_line] = block[1];
        a_slice[at + 2 * a_line] = block[2];
        a_slice[at + 3 * a_line] = block[3];
      }
    }
    for (var turn = 0u; turn < b_turns; turn++) {
      let i = turn * threads + thread;
      let column = select(i % group_columns, i / slice_depth, b_along_depth);
      let depth = select(i / group_columns, i % slice_depth, b_along_depth);
      var block = mat4x4f();
      if (i < b_slice_blocks && first_column + column < gemm.column_blocks && k + depth < gemm.depth_blocks) {
        block = load_b(k + depth, first_column + column);
      }
      if (i < b_slice_blocks) {
        let at = depth * 4 * b_line + column;
        b_slice[at] = block[0];
        b_slice[at + b_line] = block[1];
        b_slice[at + 2 * b_line] = block[2];
        b_slice[at + 3 * b_line] = block[3];
      }
    }
    workgroupBarrier();

    for (var line = 0u; line < slice_lines; line++) {
      let a0 = a_slice[line * a_line + local.y];
      let b0 = b_slice[line * b_line + local.x];
      c00 = add_outer(c00, a0, b0);
      var a1 = vec4f();
      if (tile_rows == 2) {
        a1 = a_slice[line * a_line + threads_rows + local.y];
        c10 = add_outer(c10, a1, b0);
      }
      if (tile_columns == 2) {
        let b1 = b_slice[line * b_line + threads_columns + local.x];
        c01 = add_outer(c01, a0, b1);
        if (tile_rows == 2) {
          c11 = add_outer(c11, a1, b1);
        }
      }
    }
    workgroupBarrier();
  }

  // Stored in a loop: what is done with a block is long, and is compiled once this way.
  for (var i = 0u; i < tile_rows * tile_columns; i++) {
    let below = i >= tile_columns;
    let right = i % tile_columns == 1;
    let row = first_row + local.y + select(0, threads_rows, below);
    let column = first_column + local.x + select(0, threads_columns, right);
    if (row < gemm.row_blocks && column < gemm.column_blocks) {
      var block = c00;
      if (below && right) {
        block = c11;
      } else if (below) {
        block = c10;
      } else if (right) {
        block = c01;
      }
      store_block(row, column, block);
    }
  }
}
