// Adam (Kingma and Ba, 2015) in PyTorch's form: parameters -= lr/c1 * m / (sqrt(v)/sqrt(c2) + eps). The bias
// corrections come from the host in the step's record, where they are computed in double. Expects step.wgsl. Provides adam().
const beta1 = 0.9;
const beta2 = 0.999;
const adam_epsilon = 1e-8;
// Below this a number is denormal, and a processor's arithmetic slows down: moments of dead weights decay to there.
const tiny = 1.17549435e-38;

struct Adam {
  value: vec4f,
  m: vec4f,
  v: vec4f,
}

fn flush(x: vec4f) -> vec4f {
  return select(x, vec4f(0), abs(x) < vec4f(tiny));
}

fn adam(before: Adam, gradient: vec4f, record: Step) -> Adam {
  let m = flush(beta1 * before.m + (1 - beta1) * gradient);
  let v = flush(beta2 * before.v + (1 - beta2) * gradient * gradient);
  let value = before.value - record.learning_rate * m / (sqrt(v) * record.second_correction + adam_epsilon);
  return Adam(value, m, v);
}
