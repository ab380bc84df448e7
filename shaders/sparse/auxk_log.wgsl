// Adds AuxK's term to the log of the step, and halts the updates if it is not finite. One workgroup.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

var<uniform> update: Step;
var<storage, read> auxk_shares: array<f32>;
var<storage, read> auxk_scale: f32;
var<storage, read_write> state: State;
var<storage, read_write> log_of_steps: array<StepLog>;

var<workgroup> sums: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var row = thread; row < update.rows; row += workgroup_size) {
    sum += auxk_shares[row];
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0 && state.halted == 0) {
    var total = 0.0;
    for (var i = 0u; i < workgroup_size; i++) {
      total += sums[i];
    }
    let term = total * auxk_scale;
    log_of_steps[state.done - 1].terms.x = term;  // the step that log.wgsl has counted
    if (!is_finite(term)) {
      state.halted = 1;
      log_of_steps[state.done - 1].fault = 1;
    }
  }
}
