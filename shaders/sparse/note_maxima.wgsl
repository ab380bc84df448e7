// For layers/activation.wgsl: the maximum of each vec4 of the code. None is negative. Expects sparse/maxima.wgsl. Provides note_code().
var<storage, read_write> code_maxima: array<u32>;

fn maximum(values: vec4f) -> u32 {
  let bits = bitcast<vec4u>(values);
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

fn note_code(row_block: u32, column_block: u32, outputs: mat4x4f) {
  let stride = 4 * maxima.stride;
  let i = row_block * 4 * stride + 4 * maxima.span_vectors + column_block;
  code_maxima[i] = maximum(outputs[0]);
  code_maxima[i + stride] = maximum(outputs[1]);
  code_maxima[i + 2 * stride] = maximum(outputs[2]);
  code_maxima[i + 3 * stride] = maximum(outputs[3]);
}
