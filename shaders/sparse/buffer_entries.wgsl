// The lists by latents, in a buffer. Expects sparse/lists.wgsl. Provides latent_entry_at().
var<storage, read> latent_entries: array<vec4f>;

fn latent_entry_at(n: u32) -> LatentEntry {
  return latent_entry_of(latent_entries[n]);
}
