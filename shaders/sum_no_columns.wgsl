// For store_activation.wgsl: only the last encoder layer's columns are summed up. Provides sum_columns().
fn sum_columns(row_block: u32, column_block: u32, outputs: mat4x4f) {}
