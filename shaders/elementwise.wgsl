// One invocation a vec4 of a [rows, columns] matrix. Provides position(): which vec4 this invocation has.
override workgroup_size: u32 = 64;

struct Matrix {
  row_count: u32,      // padded to a multiple of 4
  column_blocks: u32,  // vec4s a row
  columns: u32,        // without padding
}

struct Position {
  inside: bool,
  index: u32,
  row: u32,
  column: u32,  // of the vec4's first element
}

@group(0) @binding(0) var<uniform> matrix: Matrix;

// Workgroups lie on a grid, since one dimension holds 65,535 of them at most.
fn position(group: vec3u, groups: vec3u, thread: u32) -> Position {
  let index = (group.y * groups.x + group.x) * workgroup_size + thread;
  let row = index / matrix.column_blocks;
  return Position(row < matrix.row_count, index, row, (index % matrix.column_blocks) * 4);
}

// 1 where the column exists, 0 in the padding.
fn column_mask(column: u32) -> vec4f {
  return select(vec4f(0), vec4f(1), vec4u(column) + vec4u(0, 1, 2, 3) < vec4u(matrix.columns));
}
