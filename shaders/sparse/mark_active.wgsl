// Marks the latents that are active in some row: in a row's list, with a value above a limit. A workgroup a row.
// Expects sparse/lists.wgsl, workgroup_size. Provides the entry point.
override active_above: f32;

var<storage, read> row_lists: array<vec2u>;
var<storage, read> entries: array<Entry>;
var<storage, read_write> marks: array<atomic<u32>>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let list = row_lists[row];
    for (var n = list.x + lane; n < list.y; n += workgroup_size) {
      if (entries[n].value > active_above) {
        atomicStore(&marks[entries[n].latent], 1);
      }
    }
  }
}
