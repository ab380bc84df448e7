// Sets all latents but the first ones to 0. Provides the entry point.
override workgroup_size: u32 = 64;

struct First {
  column_blocks: u32,  // vec4s a row
  latents: u32,
}

var<uniform> first: First;
var<storage, read_write> code: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&code); i += groups.x * workgroup_size) {
    let latent = vec4u((i % first.column_blocks) * 4) + vec4u(0, 1, 2, 3);
    code[i] = select(vec4f(0), code[i], latent < vec4u(first.latents));
  }
}
