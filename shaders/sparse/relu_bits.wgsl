// A code is selected from by the bits of its values, whose order is theirs; AuxK may have its pre-activations stored in its place. Provides relu_bits().
fn relu_bits(bits: vec4u) -> vec4u {
  // As in layers/relu.wgsl, so that NaN stays.
  return select(bits, vec4u(0), bitcast<vec4f>(bits) <= vec4f(0));
}
