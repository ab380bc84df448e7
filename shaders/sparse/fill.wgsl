// Fills the latents' lists from those of the rows. An entry's place is the number of rows before its own in its latent's bitmap: no
// order of execution changes it. A workgroup a row. Expects sparse/lists.wgsl. Provides the entry point.
override workgroup_size: u32 = 8;

struct Filling {
  bitmap_words: u32,  // of a latent
}

var<uniform> filling: Filling;
var<storage, read> row_lists: array<vec2u>;
var<storage, read> entries: array<Entry>;
var<storage, read> bitmaps: array<u32>;
var<storage, read> latent_offsets: array<u32>;
var<storage, read_write> latent_entries: array<vec4u>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let list = row_lists[row];
    if (!is_ours(list.x)) {
      continue;
    }
    for (var n = list.x + lane; n < list.y; n += workgroup_size) {
      let entry = entries[n];
      let first_word = entry.latent * filling.bitmap_words;
      let own_word = bitmaps[first_word + row / 32];
      var place = latent_offsets[entry.latent] + countOneBits(own_word & ((1u << (row % 32)) - 1));
      for (var i = 0u; i < row / 32; i++) {
        place += countOneBits(bitmaps[first_word + i]);
      }
      latent_entries[place] = vec4u(row, bitcast<u32>(entry.value), bitcast<u32>(entry.gradient), 0);
    }
  }
}
