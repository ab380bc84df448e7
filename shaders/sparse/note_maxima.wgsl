// For layers/activation.wgsl: the maximum of each vec4 of the code. Expects sparse/relu_bits.wgsl, sparse/maxima.wgsl. Provides note_code().
var<storage, read_write> code_maxima: array<u32>;

fn note_code(row_block: u32, column_block: u32, outputs: mat4x4f) {
  let stride = 4 * maxima.stride;
  let i = row_block * 4 * stride + 4 * maxima.span_vectors + column_block;
  code_maxima[i] = largest_of(relu_bits(bitcast<vec4u>(outputs[0])));
  code_maxima[i + stride] = largest_of(relu_bits(bitcast<vec4u>(outputs[1])));
  code_maxima[i + 2 * stride] = largest_of(relu_bits(bitcast<vec4u>(outputs[2])));
  code_maxima[i + 3 * stride] = largest_of(relu_bits(bitcast<vec4u>(outputs[3])));
}
