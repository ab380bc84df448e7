// Fills a batch with its input. A window larger than one binding lies in several parts, each gathered by its own dispatch.
// An invocation takes one column of vec4s over several rows: on a software adapter, starting an invocation or dividing an index
// into row and column costs more than copying a vec4. Expects metrics/step.wgsl, rows/window.wgsl, encoder_input(). Provides the entry point.
override workgroup_size: u32 = 32;
override rows_each: u32 = 8;

struct Batch {
  rows: u32,           // padded to a multiple of 4
  column_blocks: u32,  // vec4s a row
}

var<uniform> batch: Batch;
var<storage, read_write> gathered: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;  // of vec4s
  if (column >= batch.column_blocks) {
    return;
  }
  let first_row = id.y * rows_each;
  for (var row = first_row; row < min(first_row + rows_each, batch.rows); row++) {
    if (row >= step.rows || in_part(row)) {
      gathered[row * batch.column_blocks + column] = encoder_input(row, column);
    }
  }
}
