// For sparse/select.wgsl: of the dead latents, as many as there is room for. Expects key_of(). Provides considered(), wanted().
var<storage, read> dead: array<vec4u>;  // all bits of one that is dead, none of one that is not

fn considered(bits: vec4u, block: u32) -> vec4u {
  return key_of(bits) & dead[block];
}

fn wanted() -> u32 {
  return selection.most;
}
