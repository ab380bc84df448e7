// Clears the bitmaps of a step's rows by latent, before sparse/select.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

var<storage, read_write> bitmaps: array<vec4u>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&bitmaps); i += groups.x * workgroup_size) {
    bitmaps[i] = vec4u(0);
  }
}
