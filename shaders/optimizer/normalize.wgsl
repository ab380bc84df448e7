// Scales each latent's weights in the first decoder layer to norm 1; those of norm 0 stay. An invocation a vec4 of latents.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

struct Decoder {
  outputs: u32,
  latent_blocks: u32,
}

var<uniform> decoder: Decoder;
var<uniform> state: State;
var<storage, read_write> weights: array<vec4f>;  // [outputs, latents]

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var latent = id.x; latent < decoder.latent_blocks; latent += groups.x * workgroup_size) {
    var squares = vec4f(0);
    for (var output = 0u; output < decoder.outputs; output++) {
      let weight = weights[output * decoder.latent_blocks + latent];
      squares += weight * weight;
    }
    let scale = select(vec4f(1), 1 / sqrt(squares), squares > vec4f(0));
    for (var output = 0u; output < decoder.outputs; output++) {
      weights[output * decoder.latent_blocks + latent] *= scale;
    }
  }
}
