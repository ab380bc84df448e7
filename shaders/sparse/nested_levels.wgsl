// Latents are of levels: the reconstruction of a level is of its own latents and those of all before it (Matryoshka).
// Provides Levels, levels, end_of(), level_of().
struct Levels {
  count: u32,
  ends: array<vec4u, 4>,  // of each, the latent after its last
}

var<uniform> levels: Levels;

fn end_of(level: u32) -> u32 {
  return levels.ends[level / 4][level % 4];
}

fn level_of(latent: u32) -> u32 {
  var level = 0u;
  while (level + 1 < levels.count && latent >= end_of(level)) {
    level++;
  }
  return level;
}
