// For layers/parameters.wgsl: stores the gradient, for what must be known of it before the update.
// Expects metrics/step.wgsl. Provides weights, state, take_weights(), take_biases().
var<storage, read> weights: array<vec4f>;
var<storage, read_write> weight_gradients: array<vec4f>;
var<storage, read_write> bias_gradients: array<vec4f>;
var<uniform> state: State;

fn take_weights(i: u32, gradient: vec4f) {
  weight_gradients[i] = gradient;
}

fn take_biases(i: u32, gradient: vec4f) {
  bias_gradients[i] = gradient;
}
