// Counts the rows since each latent was last active, and says which are dead: active in none of the last `dead_after` rows, those of this
// batch included. An invocation a latent. Before the lists of dead latents are made. Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
override dead_after: u32;

struct Counting {
  latents: u32,
  bitmap_words: u32,  // of a latent
}

var<uniform> counting: Counting;
var<uniform> update: Step;
var<uniform> state: State;
var<storage, read> bitmaps: array<u32>;
var<storage, read_write> silent_rows: array<u32>;
var<storage, read_write> dead: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var latent = id.x; latent < counting.latents; latent += groups.x * workgroup_size) {
    var rows = 0u;
    for (var i = 0u; i < counting.bitmap_words; i++) {
      rows |= bitmaps[latent * counting.bitmap_words + i];
    }
    let silent = select(silent_rows[latent] + update.rows, 0, rows != 0);
    silent_rows[latent] = silent;
    dead[latent] = select(0u, 0xffffffff, silent >= dead_after);
  }
}
