// What differs from one step to the next. The host writes one record a step ahead of time; step_metrics.wgsl moves
// on from one to the next, so that every step encodes the same commands. The forward pass reads `step`, the backward
// pass `update`, the record of the same step.
// Provides the structs Step and State.
struct Step {
  first_row: u32,         // where the batch begins in the order of rows
  rows: u32,              // rows in this batch: the last one of an epoch may be short
  learning_rate: f32,     // lr / (1 - beta1^t): Adam's first bias correction is in it
  second_correction: f32, // 1 / sqrt(1 - beta2^t)
  sparsity_lambda: f32,
  sparsity_target: f32,
}

struct State {
  done: u32,    // steps done
  halted: u32,  // 1 from the first step whose loss was not finite: updates then do nothing
}
