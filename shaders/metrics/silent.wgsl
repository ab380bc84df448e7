// Counts the rows since each latent was last active. One invocation a vec4 of latents.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;

struct Sizes {
  row_blocks: u32,
  latent_blocks: u32,
}

var<uniform> sizes: Sizes;
var<uniform> update: Step;
var<uniform> state: State;
var<storage, read> active_counts: array<u32>;  // a byte a column
var<storage, read_write> silent_rows: array<vec4u>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (state.halted != 0 || id.x >= sizes.latent_blocks) {
    return;
  }
  var ever = 0u;
  for (var block = 0u; block < sizes.row_blocks; block++) {
    ever |= active_counts[block * sizes.latent_blocks + id.x];
  }
  let was_active = ((vec4u(ever) >> vec4u(0, 8, 16, 24)) & vec4u(255)) != vec4u(0);
  silent_rows[id.x] = select(silent_rows[id.x] + update.rows, vec4u(0), was_active);
}
