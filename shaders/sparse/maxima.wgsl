// Where the maxima of a code lie, as bits: of each row those of spans of latents, then those of each vec4; four make a vec4 of them. What lies
// past the last latent is 0. Provides maxima, largest_of().
struct Maxima {
  code_vectors: u32,  // of a row of the code
  stride: u32,        // vec4s of maxima of a row
  span_vectors: u32,  // of these, those of spans
  span_shift: u32,    // 2^span_shift of the others belong to one span
}

var<uniform> maxima: Maxima;

fn largest_of(values: vec4u) -> u32 {
  return max(max(values.x, values.y), max(values.z, values.w));
}
