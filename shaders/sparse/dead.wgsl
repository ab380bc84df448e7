// Counts the rows since each latent was last active, and says which are dead: active in none of the last `dead_after` rows, those of this
// batch included; or in none of more rows than that before this batch. An invocation a latent. Before the lists of dead latents are made.
// Expects metrics/step.wgsl, was_active(). Provides counting and the entry point.
override workgroup_size: u32 = 64;
override dead_after: u32;
override counted: bool = true;  // whether this batch's rows count

struct Counting {
  latents: u32,
  bitmap_words: u32,  // of a latent
}

var<uniform> counting: Counting;
var<uniform> update: Step;
var<uniform> state: State;
var<storage, read_write> silent_rows: array<u32>;
var<storage, read_write> dead: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (state.halted != 0) {
    return;
  }
  for (var latent = id.x; latent < counting.latents; latent += groups.x * workgroup_size) {
    let before = silent_rows[latent];
    let silent = select(before + update.rows, 0, was_active(latent));
    silent_rows[latent] = silent;
    dead[latent] = select(0u, 0xffffffff, select(before > dead_after, silent >= dead_after, counted));
  }
}
