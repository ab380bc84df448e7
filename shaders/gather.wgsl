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
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = position(group, groups, thread);
  if (!at.inside) {
    return;
  }
  if (at.row >= step.rows) {
    batch[at.index] = vec4f(0);
    return;
  }
  let row = order[step.first_row + at.row] - part.first_row;  // wraps round below the part's first row
  if (row < part.rows) {
    let value = stored(row * matrix.column_blocks + at.column / 4);
    batch[at.index] = (value - part.mean) * part.inverse_std * column_mask(at.column);
  }
}
