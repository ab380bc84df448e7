// Adds up a code of which some latents were selected, as the encoder's GEMM does where all stay. One invocation a block.
// Expects gemm/gemm.wgsl, whose blocks are those of the code, metrics/step.wgsl, note_code(). Provides the entry point.
override workgroup_size: u32 = 64;

var<storage, read> code: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let column_block = id.x;
  if (column_block >= gemm.column_blocks) {
    return;
  }
  let stride = gemm.column_blocks;
  for (var row_block = id.y; row_block < gemm.row_blocks; row_block += groups.y) {
    let i = row_block * 4 * stride + column_block;
    let block = mat4x4f(code[i], code[i + stride], code[i + 2 * stride], code[i + 3 * stride]);
    note_code(row_block, column_block, block);
  }
}
