// For sparse/select.wgsl: values that are not negative, whose bits are in their order. Those at 0 do not count. Provides key_of(), value_of().
fn key_of(bits: vec4u) -> vec4u {
  return bits;
}

fn value_of(key: u32) -> f32 {
  return bitcast<f32>(key);
}
