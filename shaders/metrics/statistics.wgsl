// Adds up what the encoder's and the decoder's GEMM stored: each latent's mean activation, from which the kind of sparsity
// computes its terms of the loss; the number of rows for which it was active; and a share of the squared errors.
// One invocation a vec4 of latents. Expects metrics/step.wgsl, penalize(). Provides the entry point.
override workgroup_size: u32 = 64;

struct Sizes {
  row_blocks: u32,
  latent_blocks: u32,
  latents: u32,
  first_share: u32,  // where these shares begin
}

var<uniform> sizes: Sizes;
var<uniform> step: Step;
var<storage, read> column_sums: array<vec4f>;
var<storage, read> active_counts: array<u32>;
var<storage, read> squared_errors: array<f32>;
var<storage, read_write> rows_active: array<vec4u>;  // of the pass so far
var<storage, read_write> shares: array<Share>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var share = Share();
  for (var i = id.x; i < arrayLength(&squared_errors); i += groups.x * workgroup_size) {
    share.squared_error += squared_errors[i];
  }
  if (id.x < sizes.latent_blocks) {
    var sum = vec4f(0);
    var active_rows = vec4u(0);
    for (var block = 0u; block < sizes.row_blocks; block++) {
      let at = block * sizes.latent_blocks + id.x;
      sum += column_sums[at];
      active_rows += (vec4u(active_counts[at]) >> vec4u(0, 8, 16, 24)) & vec4u(255);
    }
    let exists = vec4u(id.x * 4) + vec4u(0, 1, 2, 3) < vec4u(sizes.latents);
    share.terms = penalize(id.x, sum / f32(step.rows), exists);
    rows_active[id.x] += active_rows;
    share.active_latents = active_rows.x + active_rows.y + active_rows.z + active_rows.w;
  }
  shares[sizes.first_share + id.x] = share;
}
