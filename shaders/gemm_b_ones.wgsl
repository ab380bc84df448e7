// Operand B with a column of ones after its own columns, and zeros after that: a weight's gradient then has its bias's
// gradient, the sum over rows, as one more column. Expects gemm.wgsl (whose column_blocks count the added block),
// b_at(), b_element(). Provides load_b, load_b_column.
fn load_b_column(depth_block: u32, column: u32) -> vec4f {
  let own_columns = (gemm.column_blocks - 1) * 4;
  if (column >= own_columns) {
    return select(vec4f(0), vec4f(1), vec4<bool>(column == own_columns));
  }
  let row = depth_block * 4;
  return vec4f(
    b_element(row, column),
    b_element(row + 1, column),
    b_element(row + 2, column),
    b_element(row + 3, column),
  );
}

fn load_b(depth_block: u32, column_block: u32) -> mat4x4f {
  let row = depth_block * 4;
  if (column_block + 1 == gemm.column_blocks) {
    let one = vec4f(1, 0, 0, 0);
    return mat4x4f(one, one, one, one);
  }
  return mat4x4f(
    b_at(row, column_block),
    b_at(row + 1, column_block),
    b_at(row + 2, column_block),
    b_at(row + 3, column_block),
  );
}
