// The sums over rows of the gradient of the reconstruction, which are the gradient of the output's bias. A workgroup a vec4.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
override adding: bool = false;  // to what is there

struct Output {
  column_blocks: u32,  // vec4s of inputs
  first: u32,          // of the gradients
}

var<uniform> update: Step;
var<uniform> output: Output;
var<storage, read> gradients: array<vec4f>;
var<storage, read_write> output_bias_gradients: array<vec4f>;

var<workgroup> sums: array<vec4f, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var block = group.x; block < output.column_blocks; block += groups.x) {
    var sum = vec4f(0);
    for (var row = thread; row < update.rows; row += workgroup_size) {
      sum += gradients[(output.first + row) * output.column_blocks + block];
    }
    sums[thread] = sum;
    workgroupBarrier();
    if (thread == 0) {
      var total = select(vec4f(0), output_bias_gradients[block], adding);
      for (var i = 0u; i < workgroup_size; i++) {
        total += sums[i];
      }
      output_bias_gradients[block] = total;
    }
    workgroupBarrier();
  }
}
