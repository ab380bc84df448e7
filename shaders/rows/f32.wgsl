// Rows of four bytes a value, each row padded to whole vec4s. Provides stored().
var<storage, read> stored_rows: array<vec4f>;

fn stored(index: u32) -> vec4f {
  return stored_rows[index];
}
