// For sparse/select.wgsl: values of either sign, all of which count. A negative one's bits are in the opposite order. Provides key_of(), value_of().
const sign = 0x80000000u;

fn key_of(bits: vec4u) -> vec4u {
  return select(bits | vec4u(sign), ~bits, (bits & vec4u(sign)) != vec4u(0));
}

fn value_of(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key ^ sign, (key & sign) != 0));
}
