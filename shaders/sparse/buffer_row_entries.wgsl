// The lists by rows, for a kernel that also stores in them. Expects sparse/lists.wgsl, entries. Provides entry_at().
fn entry_at(n: u32) -> Entry {
  return entries[n];
}
