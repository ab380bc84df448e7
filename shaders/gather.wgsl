// Fills a batch with its input. A data set larger than one binding lies in several parts, each gathered by its own
// dispatch. Expects step.wgsl, elementwise.wgsl, stored(), input_examples.wgsl.
@group(0) @binding(1) var<storage, read_write> gathered: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;  // of vec4s
  let first_row = id.y * rows_each;
  for (var row = first_row; row < end_row(first_row, column); row++) {
    if (row >= step.rows || in_part(row)) {
      gathered[row * matrix.column_blocks + column] = input_at(row, column);
    }
  }
}
