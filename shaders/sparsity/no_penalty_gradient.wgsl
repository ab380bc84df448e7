// For layers/gradient.wgsl: no penalty depends on this layer's output. Provides penalty_gradient().
fn penalty_gradient(row: u32, column_block: u32, output: vec4f) -> vec4f {
  return vec4f(0);
}
