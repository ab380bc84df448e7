// The length of each latent's list, and in how many rows of this pass it was active. An invocation a latent. Provides the entry point.
override workgroup_size: u32 = 64;

struct Counting {
  latents: u32,
  bitmap_words: u32,  // of a latent
  row_words: u32,     // of these, those of rows and not of their second lists
}

var<uniform> counting: Counting;
var<storage, read> bitmaps: array<u32>;
var<storage, read_write> latent_counts: array<u32>;
var<storage, read_write> rows_active: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var latent = id.x; latent < counting.latents; latent += groups.x * workgroup_size) {
    var count = 0u;
    var own = 0u;
    for (var i = 0u; i < counting.bitmap_words; i++) {
      let here = countOneBits(bitmaps[latent * counting.bitmap_words + i]);
      count += here;
      own += select(0, here, i < counting.row_words);
    }
    latent_counts[latent] = count;
    rows_active[latent] += own;
  }
}
