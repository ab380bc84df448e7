// The gradient of the output's bias b where the first layer takes x - b: its encoder's part, the column sums of the gradient of x - b,
// is the gradient of the first layer's bias times its weights, and is subtracted. A workgroup a vec4.
// Provides the entry point.
override workgroup_size: u32 = 64;

struct Encoder {
  outputs: u32,
  column_blocks: u32,  // vec4s of inputs
}

var<uniform> encoder: Encoder;
var<storage, read> encoder_weights: array<vec4f>;
var<storage, read> encoder_bias_gradients: array<f32>;
var<storage, read_write> pre_bias_gradients: array<vec4f>;

var<workgroup> sums: array<vec4f, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var block = group.x; block < encoder.column_blocks; block += groups.x) {
    var sum = vec4f(0);
    for (var i = thread; i < encoder.outputs; i += workgroup_size) {
      sum += encoder_bias_gradients[i] * encoder_weights[i * encoder.column_blocks + block];
    }
    sums[thread] = sum;
    workgroupBarrier();
    if (thread == 0) {
      var total = vec4f(0);
      for (var i = 0u; i < workgroup_size; i++) {
        total += sums[i];
      }
      pre_bias_gradients[block] -= total;
    }
    workgroupBarrier();
  }
}
