// Operand B with a column of ones after its own columns, and zeros after that: a weight's gradient then has its bias's
// gradient, the sum over rows, as one more column. Expects gemm/gemm.wgsl (whose column_blocks count the added block),
// b_at, b_element. Provides load_b, load_b_column, b_along_depth.
const b_along_depth = false;  // how it lies in memory

// By selection, not by a branch: software adapters read slowly where only some invocations do.
fn load_b_column(depth_block: u32, column: u32) -> vec4f {
  let stride = gemm.column_blocks - 1;
  let own_columns = stride * 4;
  let row = depth_block * 4;
  let own = min(column, own_columns - 1);
  let values = vec4f(
    b_element(row, stride, own),
    b_element(row + 1, stride, own),
    b_element(row + 2, stride, own),
    b_element(row + 3, stride, own),
  );
  return select(values, vec4f(f32(column == own_columns)), column >= own_columns);
}

fn load_b(depth_block: u32, column_block: u32) -> mat4x4f {
  let last = gemm.column_blocks - 1;
  let row = depth_block * 4;
  let own = min(column_block, last - 1);
  let added = column_block == last;
  let one = vec4f(1, 0, 0, 0);
  return mat4x4f(
    select(b_at(row, last, own), one, added),
    select(b_at(row + 1, last, own), one, added),
    select(b_at(row + 2, last, own), one, added),
    select(b_at(row + 3, last, own), one, added),
  );
}
