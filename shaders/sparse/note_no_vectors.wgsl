// For sparse/activate.wgsl. Provides note_vector().
fn note_vector(i: u32, values: vec4f) {}
