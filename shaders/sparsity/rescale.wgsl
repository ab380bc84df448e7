// Multiplies a code [rows, latents] by the norms of the latents' decoder directions. Provides the entry point.
override workgroup_size: u32 = 64;

struct Rescaled {
  column_blocks: u32,  // vec4s a row
}

var<uniform> rescaled: Rescaled;
var<storage, read> decoder_norms: array<vec4f>;
var<storage, read_write> code: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&code); i += groups.x * workgroup_size) {
    code[i] *= decoder_norms[i % rescaled.column_blocks];
  }
}
