// The values of what the cut of a block of rows let stay, in their order and followed by zeros, as a part of a code of which the batch's cut is found.
// Expects sparse/lists.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

struct Surviving {
  first: u32,  // of the block's entries
  most: u32,   // entries of a block that there is room for
  rows: u32,   // of the block
}

var<uniform> surviving: Surviving;
var<storage, read> row_offsets: array<u32>;
var<storage, read> entries: array<Entry>;
var<storage, read_write> survivors: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let count = row_offsets[surviving.rows];
  for (var i = id.x; i < surviving.most; i += groups.x * workgroup_size) {
    survivors[surviving.first + i] = select(0, entries[surviving.first + i].value, i < count);
  }
}
