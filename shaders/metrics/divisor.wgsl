// What a row's squared errors are divided by where the loss is a fraction of the batch's own variance: the mean over rows of the
// squared distance from their mean. One workgroup. Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

// Where all rows are equal, as the only row of a short batch is: so large that the batch does not count, and that no product with it overflows.
const without_variance = 1e30;

var<uniform> step: Step;
var<storage, read> variance_shares: array<f32>;
var<storage, read_write> divisor: f32;

var<workgroup> sums: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < arrayLength(&variance_shares); i += workgroup_size) {
    sum += variance_shares[i];
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    var total = 0.0;
    for (var i = 0u; i < workgroup_size; i++) {
      total += sums[i];
    }
    divisor = select(total / f32(step.rows), without_variance, total <= 0);
  }
}
