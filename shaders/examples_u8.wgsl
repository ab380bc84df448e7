// Examples of one byte a value, four to a word, each row padded to whole words. Provides stored().
@group(0) @binding(7) var<storage, read> examples: array<u32>;

fn stored(index: u32) -> vec4f {
  return unpack4x8unorm(examples[index]);
}
