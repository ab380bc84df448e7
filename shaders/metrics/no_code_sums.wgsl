// For layers/activation.wgsl: for every layer whose output is not the code. Provides note_code().
fn note_code(row_block: u32, column_block: u32, outputs: mat4x4f) {}
