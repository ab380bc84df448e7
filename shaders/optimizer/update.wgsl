// Updates a parameter from its stored gradient, scaled as optimizer/clip.wgsl says. Each invocation takes some vec4s, in
// strides. Expects metrics/step.wgsl, update_rule() and its structs, moments_at(), keep_moments(). Provides the entry point.
override workgroup_size: u32 = 64;

var<uniform> update: Step;
var<uniform> state: State;
var<storage, read> gradient_scale: f32;
var<storage, read> gradients: array<vec4f>;
var<storage, read_write> parameters: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var i = id.x; i < arrayLength(&parameters); i += groups.x * workgroup_size) {
    let after = update_rule(parameters[i], gradient_scale * gradients[i], moments_at(i), update);
    parameters[i] = after.value;
    keep_moments(i, after.moments);
  }
}
