// For layers/parameters.wgsl: updates the parameters where their gradient is computed, which is never stored.
// Expects metrics/step.wgsl, update_rule() and its structs, moments_at() and keep_moments() for the weights' moments. Those of the
// biases share one buffer: in the first layer this kernel binds eight, which is all that every adapter has.
// Provides state, take_weights(), take_biases().
var<storage, read_write> weights: array<vec4f>;
var<storage, read_write> biases: array<vec4f>;
var<storage, read_write> bias_moments: array<Moments>;
var<uniform> state: State;
var<uniform> update: Step;

fn take_weights(i: u32, gradient: vec4f) {
  let after = update_rule(weights[i], gradient, moments_at(i), update);
  weights[i] = after.value;
  keep_moments(i, after.moments);
}

fn take_biases(i: u32, gradient: vec4f) {
  let after = update_rule(biases[i], gradient, bias_moments[i], update);
  biases[i] = after.value;
  bias_moments[i] = after.moments;
}
