// sums[j] = the sum of column j: a bias's gradient. One invocation a vec4 of columns.
override workgroup_size: u32 = 64;

struct Matrix {
  row_count: u32,
  column_blocks: u32,
}

@group(0) @binding(0) var<uniform> matrix: Matrix;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= matrix.column_blocks) {
    return;
  }
  var sum = vec4f(0);
  for (var row = 0u; row < matrix.row_count; row++) {
    sum += values[row * matrix.column_blocks + id.x];
  }
  sums[id.x] = sum;
}
