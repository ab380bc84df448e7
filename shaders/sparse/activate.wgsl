// The code of a batch's pre-activations, which stay for AuxK. Expects activate(), note_vector(). Provides the entry point.
override workgroup_size: u32 = 64;

var<storage, read> pre_activations: array<vec4f>;
var<storage, read_write> code: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&code); i += groups.x * workgroup_size) {
    let values = activate(pre_activations[i]);
    code[i] = values;
    note_vector(i, values);
  }
}
