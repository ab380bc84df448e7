// The batch's input from a batch that rows/gather.wgsl filled. Expects metrics/step.wgsl. Provides input_at().
struct Part {
  column_blocks: u32,
}

var<uniform> step: Step;
var<uniform> part: Part;
var<storage, read> batch: array<vec4f>;

fn input_at(row: u32, column_block: u32) -> vec4f {
  return batch[row * part.column_blocks + column_block];
}
