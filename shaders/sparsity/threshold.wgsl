// Sets latents that are not above their threshold to 0. A threshold below 0 acts as 0. Provides the entry point.
override workgroup_size: u32 = 64;

struct Selection {
  column_blocks: u32,  // vec4s a row
  each: u32,           // 1 if each latent has a threshold of its own, 0 if all share the first
}

var<uniform> selection: Selection;
var<storage, read> thresholds: array<vec4f>;
var<storage, read_write> code: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&code); i += groups.x * workgroup_size) {
    let own = thresholds[(i % selection.column_blocks) * selection.each];
    let threshold = select(own.xxxx, own, selection.each != 0);
    let value = code[i];
    // Not set to 0 where it is above, so that NaN stays.
    code[i] = select(value, vec4f(0), value <= max(threshold, vec4f(0)));
  }
}
