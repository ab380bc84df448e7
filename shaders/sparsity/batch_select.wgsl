// Sets all but the largest latents of a batch to 0: those below the cut, and of those at it the ones after the last that stays.
// Expects sparsity/batch_cut.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

var<storage, read> batch_cut: BatchCut;
var<storage, read_write> code: array<vec4u>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let cut = batch_cut;
  for (var i = id.x; i < arrayLength(&code); i += groups.x * workgroup_size) {
    let bits = code[i];
    code[i] = select(vec4u(0), bits, stays(cut, bits, i));
  }
}
