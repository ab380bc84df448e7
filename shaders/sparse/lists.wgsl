// A sparse code, as lists. By row: row_lists[row] is the first of its entries and the one after its last; they are in order of
// their latents, so that what uses only the first latents reads a part of the list. Whoever selects decides where the lists lie,
// and how long they are. By latent: from latent_offsets[latent] up to, not including, the next one, in order of rows.
// A row may have a second list, of dead latents for AuxK: as a row of its own, after all others.
// Provides struct Entry, struct LatentEntry, latent_entry_of().
struct Entry {
  latent: u32,
  value: f32,     // above 0; of a second list it may be of either sign
  @size(8) gradient: f32,  // of the loss by this value; what lies after it makes an entry a vec4
}

struct LatentEntry {
  row: u32,
  value: f32,
  gradient: f32,
}

// Of a vec4 of latent_entries.
fn latent_entry_of(stored: vec4f) -> LatentEntry {
  return LatentEntry(bitcast<u32>(stored.x), stored.y, stored.z);
}
