// The record of a step with some of a batch's rows alone, of which there may be fewer than that or none: what lists those of a batch lists these.
// One invocation. Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 1;

struct Block {
  first_row: u32,  // of the batch
  rows: u32,       // at most
}

var<uniform> block: Block;
var<uniform> step: Step;
var<storage, read_write> block_step: Step;

@compute @workgroup_size(workgroup_size)
fn main() {
  let before = min(block.first_row, step.rows);
  block_step = step;
  block_step.first_row = step.first_row + before;
  block_step.rows = min(block.rows, step.rows - before);
}
