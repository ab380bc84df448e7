// For store_gradient.wgsl: the slopes that hidden_statistics.wgsl left. Expects step.wgsl.
// Provides penalty_slope().
@group(0) @binding(4) var<uniform> update: Step;
@group(0) @binding(9) var<storage, read> penalty_slopes: array<vec4f>;

fn penalty_slope(row: u32, column_block: u32) -> vec4f {
  return select(vec4f(0), penalty_slopes[column_block], row < update.rows);
}
