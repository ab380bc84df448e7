// Shortens the rows' lists, which the cuts of blocks of rows made, to what the cut of the batch lets stay. An invocation a row.
// Expects sparse/lists.wgsl, sparsity/batch_cut.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

struct Kept {
  rows: u32,
  bitmap_words: u32,  // of a latent
}

var<uniform> kept: Kept;
var<storage, read> batch_cut: BatchCut;
var<storage, read_write> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read_write> bitmaps: array<atomic<u32>>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let cut = batch_cut;
  for (var row = id.x; row < kept.rows; row += groups.x * workgroup_size) {
    let list = row_lists[row];
    var end = list.x;
    for (var n = list.x; n < list.y; n++) {
      let entry = entries[n];
      if (stays(cut, vec4u(bitcast<u32>(entry.value)), n / 4)[n % 4]) {
        entries[end] = entry;
        end++;
      } else {
        atomicAnd(&bitmaps[entry.latent * kept.bitmap_words + row / 32], ~(1u << (row % 32)));
      }
    }
    row_lists[row].y = end;
  }
}
