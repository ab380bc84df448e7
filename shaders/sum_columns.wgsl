// For store_activation.wgsl: a block's part of the sums over rows that the KL sparsity needs, and how often its units
// were active. hidden_statistics.wgsl adds the parts up. Rows past the batch's end do not count.
// Expects gemm.wgsl, step.wgsl with a variable `step`, active_above. Provides sum_columns().
@group(0) @binding(10) var<storage, read_write> column_sums: array<vec4f>;
@group(0) @binding(11) var<storage, read_write> active_counts: array<u32>;  // a byte a column

fn sum_columns(row_block: u32, column_block: u32, outputs: mat4x4f) {
  var sum = vec4f(0);
  var active_units = vec4u(0);
  for (var i = 0u; i < 4; i++) {
    if (row_block * 4 + i < step.rows) {
      sum += outputs[i];
      active_units += select(vec4u(0), vec4u(1), outputs[i] > vec4f(active_above));
    }
  }
  let at = row_block * gemm.column_blocks + column_block;
  column_sums[at] = sum;
  // pack4xU8 and its like are no part of WGSL's core.
  active_counts[at] = dot(active_units, vec4u(1, 1 << 8, 1 << 16, 1 << 24));
}
