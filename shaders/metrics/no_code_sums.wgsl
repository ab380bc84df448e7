// For layers/activation.wgsl: for every layer whose output is not the code. Provides sum_code().
fn sum_code(row_block: u32, column_block: u32, outputs: mat4x4f) {}
