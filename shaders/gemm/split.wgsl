// GEMM for GPUs where C is too small to fill one: a workgroup makes a few blocks of C, and the sum of each is split among
// some of its invocations, which add up their shares in workgroup memory at the end. So the GEMM's ending is in the same
// dispatch, and the order of sums depends only on the constants.
// Expects gemm/gemm.wgsl, load_a, load_b, store_block. Provides the entry point.
override splits: u32 = 16;       // invocations a block: a power of two
override tile_rows: u32 = 4;     // blocks a workgroup, along rows
override tile_columns: u32 = 4;  // and along columns

override tile_blocks = tile_rows * tile_columns;
override shares = 2 * tile_blocks * splits;  // a line is a vec4; half of the invocations store four

var<workgroup> lines: array<vec4f, shares>;

// Invocations that share a block are neighbours: they read neighbouring memory where a matrix lies along its depth.
@compute @workgroup_size(splits, tile_blocks)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let row = gemm.first_row + group.y * tile_rows + local.y / tile_columns;
  let column = gemm.first_column + group.x * tile_columns + local.y % tile_columns;
  let exists = row < gemm.row_blocks && column < gemm.column_blocks;

  var sum = mat4x4f();
  if (exists) {
    for (var k = local.x; k < gemm.depth_blocks; k += splits) {
      sum += load_b(k, column) * load_a(row, k);
    }
  }

  // No early return: every invocation must reach the barriers.
  for (var half = splits / 2; half > 0; half /= 2) {
    let place = local.x % half + half * local.y;
    let stride = half * tile_blocks;
    if (local.x >= half && local.x < 2 * half) {
      lines[place] = sum[0];
      lines[place + stride] = sum[1];
      lines[place + 2 * stride] = sum[2];
      lines[place + 3 * stride] = sum[3];
    }
    workgroupBarrier();
    if (local.x < half) {
      sum += mat4x4f(lines[place], lines[place + stride], lines[place + 2 * stride], lines[place + 3 * stride]);
    }
    workgroupBarrier();
  }

  if (exists && local.x == 0) {
    store_block(row, column, sum);
  }
}
