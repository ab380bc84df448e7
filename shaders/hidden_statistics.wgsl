// Adds up what the encoder's and the decoder's GEMM left: a unit's mean activation, the slope and the value of its
// KL sparsity, for how many rows it was active; and each workgroup's share of the squared errors.
// One invocation a vec4 of units. Expects step.wgsl, kl_sparsity.wgsl.
override workgroup_size: u32 = 64;

struct Sizes {
  row_blocks: u32,
  hidden_blocks: u32,
  hidden: u32,
}

struct Share {
  squares: f32,
  divergence: f32,
  active_units: u32,
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> column_sums: array<vec4f>;
@group(0) @binding(3) var<storage, read> active_counts: array<u32>;
@group(0) @binding(4) var<storage, read> squared_errors: array<f32>;
@group(0) @binding(5) var<storage, read_write> penalty_slopes: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> ever_active: array<vec4u>;
@group(0) @binding(7) var<storage, read_write> shares: array<Share>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var share = Share();
  for (var i = id.x; i < arrayLength(&squared_errors); i += groups.x * workgroup_size) {
    share.squares += squared_errors[i];
  }
  if (id.x < sizes.hidden_blocks) {
    var sum = vec4f(0);
    var active_rows = vec4u(0);
    for (var block = 0u; block < sizes.row_blocks; block++) {
      let at = block * sizes.hidden_blocks + id.x;
      sum += column_sums[at];
      active_rows += (vec4u(active_counts[at]) >> vec4u(0, 8, 16, 24)) & vec4u(255);
    }
    let mean = sum / f32(step.rows);
    let exists = vec4u(id.x * 4) + vec4u(0, 1, 2, 3) < vec4u(sizes.hidden);
    let slope = step.sparsity_lambda / f32(step.rows) * kl_slope(mean, step.sparsity_target);
    penalty_slopes[id.x] = select(vec4f(0), slope, exists);
    ever_active[id.x] |= active_rows;
    share.divergence = dot(select(vec4f(0), kl_divergence(mean, step.sparsity_target), exists), vec4f(1));
    share.active_units = active_rows.x + active_rows.y + active_rows.z + active_rows.w;
  }
  shares[id.x] = share;
}
