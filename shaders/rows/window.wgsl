// The batch's input, read where it is used: the rows of the window that the order names, normalised. Rows past the
// batch's end and the padding are zeros. A window larger than one binding lies in several parts; see rows/gather.wgsl.
// Expects metrics/step.wgsl, stored(). Provides in_part(), input_at().
struct Part {
  first_row: u32,
  rows: u32,
  column_blocks: u32,
  columns: u32,
  mean: f32,
  inverse_std: f32,
}

var<uniform> step: Step;
var<uniform> part: Part;
var<storage, read> order: array<u32>;

fn in_part(row: u32) -> bool {
  return order[step.first_row + row] - part.first_row < part.rows;  // wraps round below the part's first row
}

// Four values of a row of the batch. By selection, not by a branch: software adapters read slowly where only some invocations
// do.
fn input_at(row: u32, column_block: u32) -> vec4f {
  let place = order[step.first_row + min(row, step.rows - 1)] - part.first_row;
  let value = stored(place * part.column_blocks + column_block);
  let exists = vec4u(column_block * 4) + vec4u(0, 1, 2, 3) < vec4u(select(0, part.columns, row < step.rows));
  return select(vec4f(0), (value - part.mean) * part.inverse_std, exists);
}
