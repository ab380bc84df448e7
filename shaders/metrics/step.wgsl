// What differs from step to step, and what a step's kernels pass on to each other. The host writes one record per step
// in advance; metrics/log.wgsl moves on to the next record, so every step encodes the same commands. The forward
// pass reads `step`, the backward pass `update`, the record of the same step.
// Provides the structs Step, State, StepLog and Share.
struct Step {
  first_row: u32,       // where the batch begins in the order of rows
  rows: u32,            // rows in this batch: the last one of a window may be short
  rates: vec2f,         // of the update rule, see optimizer/
  coefficients: vec4f,  // of the kind of sparsity, see sparsity/: the weights of its terms, then what else its kernels read
}

struct State {
  done: u32,    // steps of the window done
  halted: u32,  // 1 from the first step with a fault: updates then do nothing
}

struct StepLog {
  terms: vec4f,         // of the loss, unweighted: what the kind of sparsity adds
  mse: f32,
  active_latents: u32,  // summed over the batch's rows
  fault: u32,           // 0: none; 1: the loss is not finite; 2: the gradient is not
  divisor: f32,         // of a row's squared errors in the loss
}

// An invocation's share of the sums over a batch.
struct Share {
  terms: vec4f,
  squared_error: f32,
  active_latents: u32,
}

// By its bits: compilers may assume that a comparison never meets a value that is not finite.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000) != 0x7f800000;
}
