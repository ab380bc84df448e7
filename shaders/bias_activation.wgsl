// values = activate(values + bias), in place. Padding columns become 0 (a sigmoid would make them 0.5).
// Expects elementwise.wgsl, activate().
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;  // of vec4s
  let first_row = id.y * rows_each;
  let mask = column_mask(column);
  let shift = bias[column];
  for (var row = first_row; row < end_row(first_row, column); row++) {
    let i = row * matrix.column_blocks + column;
    values[i] = activate(values[i] + shift) * mask;
  }
}
