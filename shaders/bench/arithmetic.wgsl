// For the benchmark: multiply-adds and nothing else, in eight independent chains an invocation.
override workgroup_size: u32 = 64;
override turns: u32 = 1024;

var<storage, read_write> results: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = vec4f(0.999 + f32(id.x % 7) * 1e-5);
  let shift = vec4f(0.001);
  var a = vec4f(f32(id.x));
  var b = a + 1;
  for (var turn = 0u; turn < turns; turn++) {
    a = fma(fma(fma(fma(a, factor, shift), factor, shift), factor, shift), factor, shift);
    b = fma(fma(fma(fma(b, factor, shift), factor, shift), factor, shift), factor, shift);
  }
  results[id.x] = a + b;
}
