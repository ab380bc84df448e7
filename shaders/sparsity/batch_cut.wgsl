// Where the selection of the largest latents of a batch cuts, found digit by digit.
// Expects sparse/relu_bits.wgsl. Provides BatchCut, stays().
struct BatchCut {
  bits: u32,     // the digits found so far: in the end the bits of the smallest latent that stays
  staying: u32,  // how many of the latents with just these digits stay; 0 if none stays at all
  equal: u32,    // how many there are
  last: u32,     // the index in the batch of the last of those that stay
}

// Which latents of vec4 i of the batch stay: those above the cut, and of those at it the ones up to the last that stays.
fn stays(cut: BatchCut, code_bits: vec4u, i: u32) -> vec4<bool> {
  let bits = relu_bits(code_bits);
  let index = vec4u(i * 4) + vec4u(0, 1, 2, 3);
  return (bits > vec4u(cut.bits)) | ((bits == vec4u(cut.bits)) & (index <= vec4u(cut.last)));
}
