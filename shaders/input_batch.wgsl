// The batch's input from a batch that gather.wgsl filled. Expects step.wgsl. Provides step, input_at().
struct Part {
  column_blocks: u32,
}

@group(0) @binding(4) var<uniform> step: Step;
@group(0) @binding(5) var<uniform> part: Part;
@group(0) @binding(7) var<storage, read> batch: array<vec4f>;

fn input_at(row: u32, column_block: u32) -> vec4f {
  return batch[row * part.column_blocks + column_block];
}
