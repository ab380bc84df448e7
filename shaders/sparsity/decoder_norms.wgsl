// The norm of each latent's decoder direction, its weights in the first decoder layer, or `least` if it is smaller. An invocation a
// vec4 of latents. Provides the entry point.
override workgroup_size: u32 = 64;
override by_latents: bool = false;  // whether the weights are [latents, outputs]
override least: f32 = 0.0;

struct Decoder {
  outputs: u32,
  latent_blocks: u32,
}

var<uniform> decoder: Decoder;
var<storage, read> decoder_weights: array<vec4f>;  // [outputs, latents]
var<storage, read_write> decoder_norms: array<vec4f>;

fn squared_norm(latent: u32) -> f32 {
  let column_blocks = (decoder.outputs + 3) / 4;
  var squares = vec4f(0);
  for (var i = latent * column_blocks; i < (latent + 1) * column_blocks; i++) {
    squares += decoder_weights[i] * decoder_weights[i];
  }
  return dot(squares, vec4f(1));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var latent = id.x; latent < decoder.latent_blocks; latent += groups.x * workgroup_size) {
    var squares = vec4f(0);
    if (by_latents) {
      let first = 4 * latent;
      squares = vec4f(squared_norm(first), squared_norm(first + 1), squared_norm(first + 2), squared_norm(first + 3));
    } else {
      for (var output = 0u; output < decoder.outputs; output++) {
        let weight = decoder_weights[output * decoder.latent_blocks + latent];
        squares += weight * weight;
      }
    }
    decoder_norms[latent] = max(sqrt(squares), vec4f(least));
  }
}
