// The norm of each latent's decoder direction, its weights in the first decoder layer. An invocation a vec4 of latents.
// Provides the entry point.
override workgroup_size: u32 = 64;

struct Decoder {
  outputs: u32,
  latent_blocks: u32,
}

var<uniform> decoder: Decoder;
var<storage, read> decoder_weights: array<vec4f>;  // [outputs, latents]
var<storage, read_write> decoder_norms: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var latent = id.x; latent < decoder.latent_blocks; latent += groups.x * workgroup_size) {
    var squares = vec4f(0);
    for (var output = 0u; output < decoder.outputs; output++) {
      let weight = decoder_weights[output * decoder.latent_blocks + latent];
      squares += weight * weight;
    }
    decoder_norms[latent] = sqrt(squares);
  }
}
