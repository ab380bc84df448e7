// For sparse/activate.wgsl: the maximum of each vec4 of the code. None is negative. Expects sparse/maxima.wgsl. Provides note_vector().
var<storage, read_write> code_maxima: array<u32>;

fn note_vector(i: u32, values: vec4f) {
  let row = i / maxima.code_vectors;
  let place = 4 * (row * maxima.stride + maxima.span_vectors) + i % maxima.code_vectors;
  code_maxima[place] = largest_of(bitcast<vec4u>(values));
}
