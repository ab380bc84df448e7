// Examples of four bytes a value, each row padded to whole vec4s. Provides stored().
@group(0) @binding(7) var<storage, read> examples: array<vec4f>;

fn stored(index: u32) -> vec4f {
  return examples[index];
}
