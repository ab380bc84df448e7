// The sum of a stored gradient's squares, in shares: each invocation takes some vec4s, in strides.
// Provides the entry point.
override workgroup_size: u32 = 64;

struct Place {
  first: u32,  // of the shares of this gradient
}

var<uniform> place: Place;
var<storage, read> gradients: array<vec4f>;
var<storage, read_write> squares: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var sum = 0.0;
  for (var i = id.x; i < arrayLength(&gradients); i += groups.x * workgroup_size) {
    sum += dot(gradients[i], gradients[i]);
  }
  squares[place.first + id.x] = sum;
}
