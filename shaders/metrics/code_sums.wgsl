// For layers/activation.wgsl: a block's part of the sums over rows that metrics/statistics.wgsl adds up, and how often its
// latents were active. Rows past the batch's end do not count.
// Expects gemm/gemm.wgsl, metrics/step.wgsl, active_above. Provides note_code().
var<uniform> step: Step;
var<storage, read_write> column_sums: array<vec4f>;
var<storage, read_write> active_counts: array<u32>;  // a byte a column

fn note_code(row_block: u32, column_block: u32, outputs: mat4x4f) {
  var sum = vec4f(0);
  var active_latents = vec4u(0);
  for (var i = 0u; i < 4; i++) {
    if (row_block * 4 + i < step.rows) {
      sum += outputs[i];
      active_latents += select(vec4u(0), vec4u(1), outputs[i] > vec4f(active_above));
    }
  }
  let at = row_block * gemm.column_blocks + column_block;
  column_sums[at] = sum;
  // pack4xU8 is not in WGSL's core.
  active_counts[at] = dot(active_latents, vec4u(1, 1 << 8, 1 << 16, 1 << 24));
}
