// Ends a step's forward pass: its metrics go to the log, updates are halted where the loss is not finite, and the
// record of the next step takes its place for the forward pass that comes. One workgroup. Expects step.wgsl.
override workgroup_size: u32 = 64;

struct StepMetrics {
  mse: f32,
  kl: f32,
  active_units: u32,  // summed over the batch's rows
  finite: u32,
}

struct Share {
  squares: f32,
  divergence: f32,
  active_units: u32,
}

struct Sizes {
  columns: u32,  // of the input
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> shares: array<Share>;
@group(0) @binding(2) var<storage, read> steps: array<Step>;
@group(0) @binding(3) var<storage, read_write> step: Step;
@group(0) @binding(4) var<storage, read_write> update: Step;
@group(0) @binding(5) var<storage, read_write> state: State;
@group(0) @binding(6) var<storage, read_write> log_of_steps: array<StepMetrics>;

var<workgroup> sums: array<Share, workgroup_size>;

// By its bits: compilers may assume that a comparison never meets a value that is not finite.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000) != 0x7f800000;
}

fn add(a: Share, b: Share) -> Share {
  return Share(a.squares + b.squares, a.divergence + b.divergence, a.active_units + b.active_units);
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
    let mse = total.squares / (f32(step.rows) * f32(sizes.columns));
    let finite = is_finite(mse + step.sparsity_lambda * total.divergence);
    log_of_steps[state.done] = StepMetrics(mse, total.divergence, total.active_units, u32(finite));
    if (!finite) {
      state.halted = 1;
    }
    state.done += 1;
    update = step;
    step = steps[min(state.done, arrayLength(&steps) - 1)];
  }
}
