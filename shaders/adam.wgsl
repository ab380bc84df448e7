// Adam (Kingma and Ba, 2015) in PyTorch's form: parameters -= lr/c1 * m / (sqrt(v)/sqrt(c2) + eps). The bias
// corrections come from the host in `step`, where they are computed in double. Each invocation takes some vec4s, in strides.
// Expects step.wgsl.
override workgroup_size: u32 = 64;

const beta1 = 0.9;
const beta2 = 0.999;
const adam_epsilon = 1e-8;
// Below this a number is denormal, and a processor's arithmetic slows down: moments of dead weights decay to there.
const tiny = 1.17549435e-38;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> state: State;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moments: array<vec4f>;

fn flush(x: vec4f) -> vec4f {
  return select(x, vec4f(0), abs(x) < vec4f(tiny));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var i = id.x; i < arrayLength(&parameters); i += groups.x * workgroup_size) {
    let gradient = gradients[i];
    let m = flush(beta1 * first_moments[i] + (1 - beta1) * gradient);
    let v = flush(beta2 * second_moments[i] + (1 - beta2) * gradient * gradient);
    first_moments[i] = m;
    second_moments[i] = v;
    parameters[i] -= step.learning_rate * m / (sqrt(v) * step.second_correction + adam_epsilon);
  }
}
