// Ends a step's forward pass: writes its metrics to the log, halts the updates if the loss is not finite, and puts the next
// step's record in place for the next forward pass. One workgroup. Expects metrics/step.wgsl, terms_of().
// Provides the entry point.
override workgroup_size: u32 = 64;

struct Sizes {
  columns: u32,  // of the input
}

var<uniform> sizes: Sizes;
var<uniform> divisor: f32;
var<storage, read> shares: array<Share>;
var<storage, read> steps: array<Step>;
var<storage, read_write> step: Step;
var<storage, read_write> update: Step;
var<storage, read_write> state: State;
var<storage, read_write> log_of_steps: array<StepLog>;

var<workgroup> sums: array<Share, workgroup_size>;

fn add(a: Share, b: Share) -> Share {
  return Share(a.terms + b.terms, a.squared_error + b.squared_error, a.active_latents + b.active_latents);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = Share();
  for (var i = thread; i < arrayLength(&shares); i += workgroup_size) {
    sum = add(sum, shares[i]);
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    // One after another: a tree of sums with barriers takes software adapters most of a second to compile.
    var total = Share();
    for (var i = 0u; i < workgroup_size; i++) {
      total = add(total, sums[i]);
    }
    let mse = total.squared_error / (f32(step.rows) * f32(sizes.columns));
    // Terms that the kind of sparsity does not have are 0, so the coefficients in their places do not count.
    let terms = terms_of(total.terms, f32(total.active_latents) / f32(step.rows));
    let finite = is_finite(mse + dot(step.coefficients, terms));
    log_of_steps[state.done] = StepLog(terms, mse, total.active_latents, select(1u, 0u, finite), divisor);
    if (!finite) {
      state.halted = 1;
    }
    state.done += 1;
    update = step;
    step = steps[min(state.done, arrayLength(&steps) - 1)];
  }
}
