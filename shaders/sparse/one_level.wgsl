// All latents are of one level: there is one reconstruction, of all of them. Provides level_of().
fn level_of(latent: u32) -> u32 {
  return 0;
}
