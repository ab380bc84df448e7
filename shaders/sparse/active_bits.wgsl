// For sparse/dead.wgsl: a latent is active where a row's list has it. Expects counting. Provides was_active().
var<storage, read> bitmaps: array<u32>;

fn was_active(latent: u32) -> bool {
  var any_row = 0u;
  for (var i = 0u; i < counting.bitmap_words; i++) {
    any_row |= bitmaps[latent * counting.bitmap_words + i];
  }
  return any_row != 0;
}
