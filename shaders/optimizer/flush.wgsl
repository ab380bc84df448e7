// For update rules: moments of dead weights decay to denormal numbers, which slow a processor's arithmetic down. Provides flush().
const smallest_normal = 1.17549435e-38;

fn flush(x: vec4f) -> vec4f {
  return select(x, vec4f(0), abs(x) < vec4f(smallest_normal));
}
