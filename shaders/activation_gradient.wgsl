// gradients *= derivative(outputs), in place: from a layer's output back to its input.
// Expects elementwise.wgsl, derivative().
@group(0) @binding(1) var<storage, read> outputs: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gradients: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = position(group, groups, thread);
  if (at.inside) {
    gradients[at.index] *= derivative(outputs[at.index]);
  }
}
