// Adam by itself: parameters and moments from gradients that lie in memory. Each invocation takes some vec4s, in
// strides. Expects step.wgsl, adam_rule.wgsl.
override workgroup_size: u32 = 64;

@group(0) @binding(0) var<uniform> update: Step;
@group(0) @binding(1) var<storage, read> state: State;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> moments: array<vec4f>;  // m and v of each vec4 in turn

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var i = id.x; i < arrayLength(&parameters); i += groups.x * workgroup_size) {
    let after = adam(Adam(parameters[i], moments[2 * i], moments[2 * i + 1]), gradients[i], update);
    parameters[i] = after.value;
    moments[2 * i] = after.m;
    moments[2 * i + 1] = after.v;
  }
}
