// For sparse/select.wgsl: values above 0, whose bits are in their order. Expects sparse/relu_bits.wgsl. Provides key_of(), value_of().
fn key_of(bits: vec4u) -> vec4u {
  return relu_bits(bits);
}

fn value_of(key: u32) -> f32 {
  return bitcast<f32>(key);
}
