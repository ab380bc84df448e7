// Takes away what the gradient of a latent's weights in the first decoder layer has along these weights: a step along them would be
// undone when they are scaled to norm 1 again. An invocation a vec4 of latents. Provides the entry point.
override workgroup_size: u32 = 64;

struct Decoder {
  outputs: u32,
  latent_blocks: u32,
}

var<uniform> decoder: Decoder;
var<storage, read> weights: array<vec4f>;  // [outputs, latents]
var<storage, read_write> gradients: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var latent = id.x; latent < decoder.latent_blocks; latent += groups.x * workgroup_size) {
    var along = vec4f(0);
    var squares = vec4f(0);
    for (var output = 0u; output < decoder.outputs; output++) {
      let i = output * decoder.latent_blocks + latent;
      along += gradients[i] * weights[i];
      squares += weights[i] * weights[i];
    }
    let part = select(vec4f(0), along / squares, squares > vec4f(0));
    for (var output = 0u; output < decoder.outputs; output++) {
      let i = output * decoder.latent_blocks + latent;
      gradients[i] -= part * weights[i];
    }
  }
}
