// Which latents stay, by the cut of the batch. Expects metrics/step.wgsl, sparsity/batch_cut.wgsl. Provides struct Kept, kept, code, stay().
struct Kept {
  column_blocks: u32,  // vec4s a row
  bitmap_words: u32,   // of a latent
  first_list: u32,     // where the rows' lists begin
  first_entry: u32,
}

var<uniform> kept: Kept;
var<uniform> step: Step;
var<storage, read> batch_cut: BatchCut;
var<storage, read> code: array<vec4u>;

fn stay(row: u32, block: u32) -> vec4<bool> {
  let i = row * kept.column_blocks + block;
  return stays(batch_cut, code[i], i) & vec4<bool>(row < step.rows);
}
