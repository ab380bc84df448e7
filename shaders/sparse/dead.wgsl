// Counts the rows since each latent was last active, and says which are dead: active in none of the last `dead_after` rows, those of this
// batch included; or in none of more rows than that before this batch. An invocation a latent. Before the lists of dead latents are made.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
override dead_after: u32;
override counted: bool = true;     // whether this batch's rows count
override active_above: f32 = 0.0;  // a smaller value is none

struct Counting {
  latents: u32,
  bitmap_words: u32,   // of a latent
  column_blocks: u32,  // vec4s a row of the code
}

var<uniform> counting: Counting;
var<uniform> update: Step;
var<uniform> state: State;
var<storage, read> bitmaps: array<u32>;
var<storage, read> code: array<f32>;
var<storage, read_write> silent_rows: array<u32>;
var<storage, read_write> dead: array<u32>;

// Whether a latent is active in one of the rows of a word of its bitmap.
fn active_in(word: u32, first_row: u32, latent: u32) -> bool {
  if (active_above == 0) {
    return word != 0;
  }
  for (var left = word; left != 0; left &= left - 1) {
    let row = first_row + firstTrailingBit(left);
    if (code[row * counting.column_blocks * 4 + latent] > active_above) {
      return true;
    }
  }
  return false;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var latent = id.x; latent < counting.latents; latent += groups.x * workgroup_size) {
    var was_active = false;
    for (var i = 0u; i < counting.bitmap_words; i++) {
      was_active |= active_in(bitmaps[latent * counting.bitmap_words + i], i * 32, latent);
    }
    let before = silent_rows[latent];
    let silent = select(before + update.rows, 0, was_active);
    silent_rows[latent] = silent;
    dead[latent] = select(0u, 0xffffffff, select(before > dead_after, silent >= dead_after, counted));
  }
}
