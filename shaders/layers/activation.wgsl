// Ends a GEMM with a layer's bias and activation. The padding becomes 0 (a sigmoid would make it 0.5).
// Expects gemm/gemm.wgsl, activate(), note_code(). Provides store_block().
var<storage, read_write> c: array<vec4f>;
var<storage, read> bias: array<vec4f>;
var<uniform> columns: u32;  // without padding

fn store_block(row_block: u32, column_block: u32, block: mat4x4f) {
  let exists = vec4u(column_block * 4) + vec4u(0, 1, 2, 3) < vec4u(columns);
  let shift = bias[column_block];
  let outputs = mat4x4f(
    select(vec4f(0), activate(block[0] + shift), exists),
    select(vec4f(0), activate(block[1] + shift), exists),
    select(vec4f(0), activate(block[2] + shift), exists),
    select(vec4f(0), activate(block[3] + shift), exists),
  );
  let first = row_block * 4;
  for (var row = first; row < first + 4; row++) {
    c[row * gemm.column_blocks + column_block] = row_of(outputs, row - first);
  }
  note_code(row_block, column_block, outputs);
}
