// For rows/a.wgsl and rows/b.wgsl: the first layer takes the batch's input less the output's bias. What this makes of rows past
// the batch's end does not count: their gradients are 0. Expects input_at(). Provides encoder_input().
var<storage, read> pre_bias: array<vec4f>;

fn encoder_input(row: u32, column_block: u32) -> vec4f {
  return input_at(row, column_block) - pre_bias[column_block];
}
