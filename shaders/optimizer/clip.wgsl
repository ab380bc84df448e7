// The factor that limits the gradients' global norm, taken over all parameters together, to clip_norm, as PyTorch's
// clip_grad_norm_ does. Updates are halted if that norm is not finite. One workgroup.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
override clip_norm: f32;

var<storage, read> squares: array<f32>;
var<storage, read_write> state: State;
var<storage, read_write> log_of_steps: array<StepLog>;
var<storage, read_write> gradient_scale: f32;

var<workgroup> sums: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < arrayLength(&squares); i += workgroup_size) {
    sum += squares[i];
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    var total = 0.0;
    for (var i = 0u; i < workgroup_size; i++) {
      total += sums[i];
    }
    gradient_scale = min(1, clip_norm / (sqrt(total) + 1e-6));
    if (state.halted == 0 && !is_finite(total)) {
      state.halted = 1;
      log_of_steps[state.done - 1].fault = 2;  // the step that log.wgsl has counted
    }
  }
}
