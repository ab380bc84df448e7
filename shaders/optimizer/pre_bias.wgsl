// The gradient of the output's bias b where the first layer takes x - b: its encoder's part, the column sums of the gradient of x - b, is the
// gradient of the first layer's bias times its weights. A workgroup adds up the rows of one block of latents, whose invocations lie along
// them, so that memory is read in order. optimizer/pre_bias_sum.wgsl adds up the blocks. Provides the entry point.
override workgroup_size: u32 = 64;
override share_latents: u32;  // latents of a block

struct Encoder {
  outputs: u32,
  column_blocks: u32,  // vec4s of inputs
  shares: u32,
}

var<uniform> encoder: Encoder;
var<storage, read> encoder_weights: array<vec4f>;
var<storage, read> encoder_bias_gradients: array<f32>;
var<storage, read_write> pre_bias_shares: array<vec4f>;  // [shares, inputs]

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let stride = encoder.column_blocks;
  for (var share = group.x; share < encoder.shares; share += groups.x) {
    let first = share * share_latents;
    let end = min(first + share_latents, encoder.outputs);
    for (var column = thread; column < stride; column += workgroup_size) {
      var sum = vec4f(0);
      // A row at a time: on Mesa's software adapter four take three times as long.
      for (var i = first; i < end; i++) {
        sum += encoder_bias_gradients[i] * encoder_weights[i * stride + column];
      }
      pre_bias_shares[share * stride + column] = sum;
    }
  }
}
