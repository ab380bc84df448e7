// For sparsity/batch_histogram.wgsl: of all latents. Expects count_vector(). Provides code, vectors(), count_at().
var<storage, read> code: array<vec4u>;

fn vectors() -> u32 {
  return step.rows * digit.column_blocks;
}

fn count_at(i: u32) {
  count_vector(code[i]);
}
