// Divides the values in the rows' lists by the norms of their latents' decoder directions, by which the code was multiplied before latents
// were selected. A workgroup a row. Expects metrics/step.wgsl, sparse/lists.wgsl, workgroup_size. Provides the entry point.
struct Unscaled {
  first_list: u32,
}

var<uniform> unscaled: Unscaled;
var<storage, read> row_lists: array<vec2u>;
var<storage, read> decoder_norms: array<f32>;
var<storage, read_write> entries: array<Entry>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let list = row_lists[unscaled.first_list + row];
    for (var n = list.x + lane; n < list.y; n += workgroup_size) {
      entries[n].value /= decoder_norms[entries[n].latent];
    }
  }
}
