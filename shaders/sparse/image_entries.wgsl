// The lists by latents, in an image. Expects gemm/image.wgsl, sparse/lists.wgsl. Provides latent_entry_at().
var latent_entries: texture_storage_2d_array<rgba32float, read>;
var<uniform> latent_entries_bits: vec2u;

fn latent_entry_at(n: u32) -> LatentEntry {
  let texel = texel_at(latent_entries_bits, n, 1, 0);
  return latent_entry_of(textureLoad(latent_entries, texel.xy, texel.z));
}
