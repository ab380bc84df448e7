// Where a vec4 of a matrix lies in its image: a layer has 2^bits.y vec4s of each row, a line of it those of 2^bits.x rows.
// Provides texel_at().
fn texel_at(bits: vec2u, row: u32, stride: u32, column_block: u32) -> vec3u {
  let line = row >> bits.x;
  let layer = column_block >> bits.y;
  return vec3u((row - (line << bits.x)) * stride + column_block - (layer << bits.y), line, layer);
}
