// The lines of a dispatch, which are rows or latents; workgroups take them one after another. What would be too much work for one dispatch is
// several: each takes some of the lines and, of these, those whose list of entries begins in its part of all entries. Provides lines, is_ours().
struct Lines {
  first: u32,
  end: u32,          // after the last one
  first_entry: u32,
  end_entry: u32,
}

var<uniform> lines: Lines;

fn is_ours(first_entry: u32) -> bool {
  return first_entry >= lines.first_entry && first_entry < lines.end_entry;
}
