// Rows that are added up in a buffer. Provides row_value_at().
var<storage, read> row_values: array<vec4f>;

fn row_value_at(row: u32, column: u32) -> vec4f {
  return row_values[row * latents.column_blocks + column];
}
