// From the lengths of the latents' lists: where each begins and, after the last, where that ends. One workgroup, whose
// invocations take some neighbouring latents each. Provides the entry point.
override workgroup_size: u32 = 64;

struct Counting {
  latents: u32,
  bitmap_words: u32,
}

var<uniform> counting: Counting;
var<storage, read> latent_counts: array<u32>;
var<storage, read_write> latent_offsets: array<u32>;

var<workgroup> sums: array<u32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  let each = (counting.latents + workgroup_size - 1) / workgroup_size;
  let first = min(thread * each, counting.latents);
  let end = min(first + each, counting.latents);
  var sum = 0u;
  for (var i = first; i < end; i++) {
    sum += latent_counts[i];
  }
  sums[thread] = sum;
  workgroupBarrier();
  var offset = 0u;
  for (var i = 0u; i < thread; i++) {
    offset += sums[i];
  }
  for (var i = first; i < end; i++) {
    latent_offsets[i] = offset;
    offset += latent_counts[i];
  }
  if (thread == workgroup_size - 1) {
    latent_offsets[counting.latents] = offset;
  }
}
