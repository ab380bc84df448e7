// gradients *= derivative(outputs), in place: from a layer's output back to its input.
// Expects elementwise.wgsl, derivative().
@group(0) @binding(1) var<storage, read> outputs: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gradients: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;  // of vec4s
  let first_row = id.y * rows_each;
  for (var row = first_row; row < end_row(first_row, column); row++) {
    let i = row * matrix.column_blocks + column;
    gradients[i] *= derivative(outputs[i]);
  }
}
