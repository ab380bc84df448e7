// GEMM for software adapters with subgroups, where C is large: as subgroup.wgsl, but a subgroup makes 8x8 blocks, so that a
// block that was read is used eight times. Each lane reads one block of A and one of B, and makes a column of blocks of C.
// Written out, with sums in variables of their own: Mesa keeps in memory whatever is indexed, and reads it as slowly as
// a buffer. It takes about three times as long to compile as subgroup.wgsl, so it is for products large enough to win that back.
// The sums are formed in the same order as in subgroup.wgsl, bit for bit.
// Expects gemm/enable_subgroups.wgsl, gemm/gemm.wgsl, load_a, load_b, store_block. Provides the entry point.
const lanes = 8u;  // invocations a subgroup, and a workgroup; blocks of C a lane

fn broadcast(value: vec4f, lane: u32) -> vec4f {
  return vec4f(
    subgroupShuffle(value.x, lane),
    subgroupShuffle(value.y, lane),
    subgroupShuffle(value.z, lane),
    subgroupShuffle(value.w, lane),
  );
}

// sums + the product of a lane's block of A and this lane's block of B. Row by row: if the products of all rows came before
// the first sum, they would not fit in registers.
fn add_product(sums: mat4x4f, a: mat4x4f, lane: u32, b: mat4x4f) -> mat4x4f {
  return mat4x4f(
    sums[0] + b * broadcast(a[0], lane),
    sums[1] + b * broadcast(a[1], lane),
    sums[2] + b * broadcast(a[2], lane),
    sums[3] + b * broadcast(a[3], lane),
  );
}

// Workgroups that follow one another lie along rows: they read the same columns of B, which stay in the cache.
@compute @workgroup_size(lanes)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first_row = gemm.first_row + group.x * lanes;
  let column = gemm.first_column + group.y * lanes + lane;
  // Past the edge the last block is read again; what it makes is not stored.
  let row_read = min(first_row + lane, gemm.row_blocks - 1);
  let column_read = min(column, gemm.column_blocks - 1);

  var c0: mat4x4f;
  var c1: mat4x4f;
  var c2: mat4x4f;
  var c3: mat4x4f;
  var c4: mat4x4f;
  var c5: mat4x4f;
  var c6: mat4x4f;
  var c7: mat4x4f;
  for (var k = 0u; k < gemm.depth_blocks; k++) {
    let a = load_a(row_read, k);
    let b = load_b(k, column_read);
    c0 = add_product(c0, a, 0, b);
    c1 = add_product(c1, a, 1, b);
    c2 = add_product(c2, a, 2, b);
    c3 = add_product(c3, a, 3, b);
    c4 = add_product(c4, a, 4, b);
    c5 = add_product(c5, a, 5, b);
    c6 = add_product(c6, a, 6, b);
    c7 = add_product(c7, a, 7, b);
  }

  if (column < gemm.column_blocks) {
    // Stored in a loop: what is done with a block is long, and is compiled once this way.
    var sums = array(c0, c1, c2, c3, c4, c5, c6, c7);
    for (var i = 0u; i < min(lanes, gemm.row_blocks - first_row); i++) {
      store_block(first_row + i, column, sums[i]);
    }
  }
}
