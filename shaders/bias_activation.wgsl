// values = activate(values + bias), in place. Padding columns become 0 (a sigmoid would make them 0.5).
// Expects elementwise.wgsl, activate().
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let at = position(group, groups, thread);
  if (at.inside) {
    values[at.index] = activate(values[at.index] + bias[at.column / 4]) * column_mask(at.column);
  }
}
