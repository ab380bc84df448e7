// For the benchmark: reads and writes memory and does nothing else.
override workgroup_size: u32 = 64;

var<storage, read> source: array<vec4f>;
var<storage, read_write> destination: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&source); i += groups.x * workgroup_size) {
    destination[i] = source[i];
  }
}
