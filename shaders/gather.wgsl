// Fills a batch with the examples that the order of rows names, normalised. Rows past the batch's end are zeros.
// A data set larger than one binding lies in several parts, each gathered by its own dispatch.
// Expects step.wgsl, elementwise.wgsl, stored().
struct Part {
  first_row: u32,
  rows: u32,
  mean: f32,
  inverse_std: f32,
}

@group(0) @binding(1) var<uniform> part: Part;
@group(0) @binding(2) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read_write> batch: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;  // of vec4s
  let first_row = id.y * rows_each;
  let mask = column_mask(column);
  for (var row = first_row; row < end_row(first_row, column); row++) {
    let i = row * matrix.column_blocks + column;
    if (row >= step.rows) {
      batch[i] = vec4f(0);
      continue;
    }
    let example = order[step.first_row + row] - part.first_row;  // wraps round below the part's first row
    if (example < part.rows) {
      let value = stored(example * matrix.column_blocks + column);
      batch[i] = (value - part.mean) * part.inverse_std * mask;
    }
  }
}
