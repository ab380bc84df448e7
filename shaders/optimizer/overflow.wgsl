// Whether an update rule's moments of a parameter are still finite. Each invocation takes some vec4s, in strides.
// Provides the entry point.
override workgroup_size: u32 = 64;

struct Place {
  parameter: u32,
}

var<uniform> place: Place;
var<storage, read> moments: array<vec4u>;  // floats by their bits: compilers may assume that all of them are finite
var<storage, read_write> overflows: array<atomic<u32>>;  // 1 for a parameter with a moment that is not

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let exponent = vec4u(0x7f800000);
  var overflow = vec4u(0);
  for (var i = id.x; i < arrayLength(&moments); i += groups.x * workgroup_size) {
    overflow |= vec4u((moments[i] & exponent) == exponent);
  }
  if (any(overflow != vec4u(0))) {
    atomicStore(&overflows[place.parameter], 1);
  }
}
