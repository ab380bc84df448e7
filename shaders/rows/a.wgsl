// Operand A: the batch's input, [rows, depth]. Expects gemm/gemm.wgsl, encoder_input(). Provides load_a, load_a_row, a_along_depth.
const a_along_depth = true;  // how it lies in memory

fn load_a_row(row: u32, depth_block: u32) -> vec4f {
  return encoder_input(row, depth_block);
}

fn load_a(row_block: u32, depth_block: u32) -> mat4x4f {
  let row = row_block * 4;
  return mat4x4f(
    encoder_input(row, depth_block),
    encoder_input(row + 1, depth_block),
    encoder_input(row + 2, depth_block),
    encoder_input(row + 3, depth_block),
  );
}
