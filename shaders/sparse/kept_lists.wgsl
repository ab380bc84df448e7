// Lists the latents of each row that the cut of the batch lets stay, in the order of the rows. A workgroup a row.
// Expects metrics/step.wgsl, sparse/lists.wgsl, sparsity/batch_cut.wgsl, sparse/kept.wgsl, workgroup_size, before_lanes(). Provides the entry point.
var<storage, read> row_offsets: array<u32>;
var<storage, read_write> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read_write> bitmaps: array<atomic<u32>>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  // Each invocation has some neighbouring vec4s, so that entries are in the order of their latents.
  let each = (kept.column_blocks + workgroup_size - 1) / workgroup_size;
  let first = min(lane * each, kept.column_blocks);
  let end = min(first + each, kept.column_blocks);
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    var count = 0u;
    for (var block = first; block < end; block++) {
      let here = vec4u(stay(row, block));
      count += here.x + here.y + here.z + here.w;
    }
    let list = kept.first_list + row;
    var at = kept.first_entry + row_offsets[row] + before_lanes(vec2u(count, 0), lane).x;
    if (count > 0) {
      for (var block = first; block < end; block++) {
        let here = stay(row, block);
        let values = bitcast<vec4f>(code[row * kept.column_blocks + block]);
        for (var i = 0u; i < 4; i++) {
          if (here[i]) {
            let latent = block * 4 + i;
            entries[at] = Entry(latent, values[i], 0);
            atomicOr(&bitmaps[latent * kept.bitmap_words + list / 32], 1u << (list % 32));
            at++;
          }
        }
      }
    }
    if (lane == 0) {
      row_lists[list] = vec2u(kept.first_entry) + vec2u(row_offsets[row], row_offsets[row + 1]);
    }
  }
}
