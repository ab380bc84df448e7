// Operand A, stored [rows, latents], divided by the norms of the latents' decoder directions: for the first decoder layer of a model whose
// code is multiplied by them. Expects gemm/gemm.wgsl, a_at. Provides load_a, load_a_row, a_along_depth.
const a_along_depth = true;  // how it lies in memory

var<storage, read> decoder_norms: array<vec4f>;

fn load_a_row(row: u32, depth_block: u32) -> vec4f {
  return a_at(row, gemm.depth_blocks, depth_block) / decoder_norms[depth_block];
}

fn load_a(row_block: u32, depth_block: u32) -> mat4x4f {
  let row = row_block * 4;
  return mat4x4f(
    load_a_row(row, depth_block),
    load_a_row(row + 1, depth_block),
    load_a_row(row + 2, depth_block),
    load_a_row(row + 3, depth_block),
  );
}
