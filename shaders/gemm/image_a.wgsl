// Operand A in an image: a layer has 2^a_bits.y vec4s of each row, a line of it those of 2^a_bits.x rows.
// Provides a_at, a_element.
var a: texture_storage_2d_array<rgba32float, read>;
var<uniform> a_bits: vec2u;

fn a_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  let line = row >> a_bits.x;
  let layer = column_block >> a_bits.y;
  let texel = (row - (line << a_bits.x)) * stride + column_block - (layer << a_bits.y);
  return textureLoad(a, vec2u(texel, line), layer);
}

fn a_element(row: u32, stride: u32, column: u32) -> f32 {
  return a_at(row, stride, column / 4)[column % 4];
}
