// The number of latents of each row that the cut of the batch lets stay. A workgroup a row.
// Expects metrics/step.wgsl, sparsity/batch_cut.wgsl, sparse/kept.wgsl, workgroup_size, add_lanes(). Provides the entry point.
var<storage, read_write> row_counts: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    var count = 0u;
    for (var block = lane; block < kept.column_blocks; block += workgroup_size) {
      let here = vec4u(stay(row, block));
      count += here.x + here.y + here.z + here.w;
    }
    let total = add_lanes(vec3u(count, 0, 0), lane).x;
    if (lane == 0) {
      row_counts[row] = total;
    }
  }
}
