// Adds up what optimizer/pre_bias.wgsl left of each block of latents, and subtracts it from the gradient of the output's bias. A workgroup
// a vec4. Provides the entry point.
override workgroup_size: u32 = 64;

struct Encoder {
  outputs: u32,
  column_blocks: u32,  // vec4s of inputs
  shares: u32,
}

var<uniform> encoder: Encoder;
var<storage, read> pre_bias_shares: array<vec4f>;
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
    for (var share = thread; share < encoder.shares; share += workgroup_size) {
      sum += pre_bias_shares[share * encoder.column_blocks + block];
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
