// Rows of one byte a value, four to a word, each row padded to whole words. Provides stored().
var<storage, read> stored_rows: array<u32>;

fn stored(index: u32) -> vec4f {
  return unpack4x8unorm(stored_rows[index]);
}
