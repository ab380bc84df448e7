// The batch's input, read where it is used: the examples that the order of rows names, normalised. Rows past the
// batch's end and the padding are zeros. A data set larger than one binding lies in several parts; see gather.wgsl.
// Expects step.wgsl, stored(). Provides step, in_part(), input_at().
struct Part {
  first_row: u32,
  rows: u32,
  column_blocks: u32,
  columns: u32,
  mean: f32,
  inverse_std: f32,
}

@group(0) @binding(4) var<uniform> step: Step;
@group(0) @binding(5) var<uniform> part: Part;
@group(0) @binding(6) var<storage, read> order: array<u32>;

fn in_part(row: u32) -> bool {
  return order[step.first_row + row] - part.first_row < part.rows;  // wraps round below the part's first row
}

// Four values of a row of the batch. By selection, without a branch: software adapters read slowly where some invocations
// do not.
fn input_at(row: u32, column_block: u32) -> vec4f {
  let example = order[step.first_row + min(row, step.rows - 1)] - part.first_row;
  let value = stored(example * part.column_blocks + column_block);
  let exists = vec4u(column_block * 4) + vec4u(0, 1, 2, 3) < vec4u(select(0, part.columns, row < step.rows));
  return select(vec4f(0), (value - part.mean) * part.inverse_std, exists);
}
