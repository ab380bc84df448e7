// The lists by rows, in an image. Expects gemm/image.wgsl, sparse/lists.wgsl. Provides entry_at().
var row_entries: texture_storage_2d_array<rgba32float, read>;
var<uniform> row_entries_bits: vec2u;

fn entry_at(n: u32) -> Entry {
  let texel = texel_at(row_entries_bits, n, 1, 0);
  let stored = textureLoad(row_entries, texel.xy, texel.z);
  return Entry(bitcast<u32>(stored.x), stored.y, stored.z);
}
