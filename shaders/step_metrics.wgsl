// Ends a step's forward pass: its metrics go to the log, and updates are halted where the loss is not finite.
// One workgroup. Expects step.wgsl, kl_sparsity.wgsl.
override workgroup_size: u32 = 64;

struct StepMetrics {
  mse: f32,
  kl: f32,
  active_units: u32,  // summed over the batch's rows
  finite: u32,
}

struct Sizes {
  columns: u32,  // of the input
  hidden: u32,   // units of the last encoder layer
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> partial_sums: array<f32>;
@group(0) @binding(3) var<storage, read> means: array<vec4f>;
@group(0) @binding(4) var<storage, read> active_rows: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> state: State;
@group(0) @binding(6) var<storage, read_write> log_of_steps: array<StepMetrics>;

var<workgroup> squares: array<f32, workgroup_size>;
var<workgroup> divergences: array<f32, workgroup_size>;
var<workgroup> actives: array<u32, workgroup_size>;

// By its bits: compilers may assume that a comparison never meets a value that is not finite.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000) != 0x7f800000;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  var square = 0.0;
  for (var i = thread; i < arrayLength(&partial_sums); i += workgroup_size) {
    square += partial_sums[i];
  }
  var divergence = 0.0;
  var count = 0u;
  for (var i = thread; i < arrayLength(&means); i += workgroup_size) {
    let exists = vec4u(i * 4) + vec4u(0, 1, 2, 3) < vec4u(sizes.hidden);
    divergence += dot(select(vec4f(0), kl_divergence(means[i], step.sparsity_target), exists), vec4f(1));
    count += active_rows[i].x + active_rows[i].y + active_rows[i].z + active_rows[i].w;
  }
  squares[thread] = square;
  divergences[thread] = divergence;
  actives[thread] = count;
  workgroupBarrier();
  for (var half = workgroup_size / 2; half > 0; half /= 2) {
    if (thread < half) {
      squares[thread] += squares[thread + half];
      divergences[thread] += divergences[thread + half];
      actives[thread] += actives[thread + half];
    }
    workgroupBarrier();
  }
  if (thread == 0) {
    let mse = squares[0] / (f32(step.rows) * f32(sizes.columns));
    let kl = divergences[0];
    let finite = is_finite(mse + step.sparsity_lambda * kl);
    log_of_steps[state.next - 1] = StepMetrics(mse, kl, actives[0], u32(finite));
    if (!finite) {
      state.halted = 1;
    }
  }
}
