// Writes the transpose of a matrix to another, or adds it to that: for tied weights and their gradients. An invocation a block.
// Provides the entry point.
override workgroup_size: u32 = 64;
override adding: bool;

struct Blocks {
  rows: u32,  // 4x4 blocks of the matrix
  columns: u32,
}

var<uniform> blocks: Blocks;
var<storage, read> matrix: array<vec4f>;
var<storage, read_write> transposed: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var block = id.x; block < blocks.rows * blocks.columns; block += groups.x * workgroup_size) {
    let row = block / blocks.columns;
    let column = block % blocks.columns;
    let first = row * 4 * blocks.columns + column;
    let stride = blocks.columns;
    let read = mat4x4f(matrix[first], matrix[first + stride], matrix[first + 2 * stride], matrix[first + 3 * stride]);
    let turned = transpose(read);
    for (var i = 0u; i < 4; i++) {
      let at = (column * 4 + i) * blocks.rows + row;
      transposed[at] = turned[i] + select(vec4f(0), transposed[at], adding);
    }
  }
}
