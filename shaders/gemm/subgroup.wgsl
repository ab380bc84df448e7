// GEMM for software adapters with subgroups, where reading memory costs far more than arithmetic: a load is done
// for each lane one by one, even where all lanes want the same value. So the lanes of a subgroup lie along one axis of
// C, each with its own blocks there. The lines of the other operand are shared: each lane loads some of them, and
// subgroupShuffle broadcasts them.
// Expects gemm/enable_subgroups.wgsl, gemm/gemm.wgsl, load_a, load_a_row, load_b, load_b_column, store_block. Provides the entry point.
override lanes: u32 = 8;             // invocations a subgroup, and a workgroup
override lane_blocks: u32 = 1;       // blocks of C a lane, along the lanes' axis: at most 4
override shared_blocks: u32 = 2;     // blocks of C a lane, along the other axis: at most 8
override turns: u32 = 1;             // such tiles an invocation makes one after the other, along the other axis
override lanes_along_rows: bool = false;

const max_lane_blocks = 4u;
const max_shared_blocks = 8u;
const max_lines = 4u * max_shared_blocks;

// Four elements of one line of the shared operand: of a row of A, or of a column of B.
fn load_line(line: u32, depth_block: u32) -> vec4f {
  if (lanes_along_rows) {
    return load_b_column(depth_block, min(line, gemm.column_blocks * 4 - 1));
  }
  return load_a_row(min(line, gemm.row_blocks * 4 - 1), depth_block);
}

// A block of the operand along the lanes' axis: column i holds the block's four lines at depth i.
fn load_lane_block(block: u32, depth_block: u32) -> mat4x4f {
  if (lanes_along_rows) {
    return transpose(load_a(min(block, gemm.row_blocks - 1), depth_block));
  }
  return load_b(depth_block, min(block, gemm.column_blocks - 1));
}

fn broadcast(value: vec4f, lane: u32) -> vec4f {
  return vec4f(
    subgroupShuffle(value.x, lane),
    subgroupShuffle(value.y, lane),
    subgroupShuffle(value.z, lane),
    subgroupShuffle(value.w, lane),
  );
}

// Shared block i and lane block j of the sums. By selection: an index that is not constant would make compilers unroll the
// loop round it, and software adapters take seconds to compile what is unrolled.
fn finished_block(sums: ptr<function, array<vec4f, max_lines * max_lane_blocks>>, i: u32, j: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var b = 0u; b < shared_blocks; b++) {
    for (var d = 0u; d < lane_blocks; d++) {
      if (b == i && d == j) {
        let at = b * 4 * max_lane_blocks + d;
        block = mat4x4f(
          sums[at],
          sums[at + max_lane_blocks],
          sums[at + 2 * max_lane_blocks],
          sums[at + 3 * max_lane_blocks],
        );
      }
    }
  }
  return block;
}

@compute @workgroup_size(lanes)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = select(vec2u(gemm.first_column, gemm.first_row), vec2u(gemm.first_row, gemm.first_column), lanes_along_rows);
  let first_block = first.x + (group.x * lanes + lane) * lane_blocks;
  let lines = shared_blocks * 4;
  let shared_count = select(gemm.row_blocks, gemm.column_blocks, lanes_along_rows);
  let lane_count = select(gemm.column_blocks, gemm.row_blocks, lanes_along_rows);
  let begin = first.y + group.y * shared_blocks * turns;
  let end = min(begin + shared_blocks * turns, shared_count);

  for (var first_shared = begin; first_shared < end; first_shared += shared_blocks) {
    let first_line = first_shared * 4;
    // Explicit zeros: without them Mesa keeps the sums of the turn before.
    var sums = array<vec4f, max_lines * max_lane_blocks>();
    for (var k = 0u; k < gemm.depth_blocks; k++) {
      var shared_lines: array<vec4f, max_lines>;  // this lane's own
      for (var i = 0u; i < lines; i += lanes) {
        shared_lines[i / lanes] = load_line(first_line + i + lane, k);
      }
      for (var j = 0u; j < lane_blocks; j++) {
        let block = load_lane_block(first_block + j, k);
        for (var i = 0u; i < lines; i++) {
          sums[i * max_lane_blocks + j] += block * broadcast(shared_lines[i / lanes], i % lanes);
        }
      }
    }

    for (var i = 0u; i < min(shared_blocks, shared_count - first_shared); i++) {
      for (var j = 0u; j < lane_blocks; j++) {
        if (first_block + j < lane_count) {
          let block = finished_block(&sums, i, j);
          if (lanes_along_rows) {
            store_block(first_block + j, first_shared + i, transpose(block));
          } else {
            store_block(first_shared + i, first_block + j, block);
          }
        }
      }
    }
  }
}
