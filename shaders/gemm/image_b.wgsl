// Operand B in an image: a layer has 2^b_bits.y vec4s of each row, a line of it those of 2^b_bits.x rows.
// Provides b_at, b_element.
var b: texture_storage_2d_array<rgba32float, read>;
var<uniform> b_bits: vec2u;

fn b_at(row: u32, stride: u32, column_block: u32) -> vec4f {
  let line = row >> b_bits.x;
  let layer = column_block >> b_bits.y;
  let texel = (row - (line << b_bits.x)) * stride + column_block - (layer << b_bits.y);
  return textureLoad(b, vec2u(texel, line), layer);
}

fn b_element(row: u32, stride: u32, column: u32) -> f32 {
  return b_at(row, stride, column / 4)[column % 4];
}
