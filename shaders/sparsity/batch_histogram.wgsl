// Counts the latents of a batch by their next digit, of those with the digits found so far. Those at 0 do not count.
// Expects metrics/step.wgsl, sparsity/batch_cut.wgsl, vectors(), count_at(), which says of which latents. Provides digit, count_vector() and the entry point.
override workgroup_size: u32 = 64;

const digits = 2048u;

struct Digit {
  column_blocks: u32,  // vec4s a row
  shift: u32,          // the place of this digit
  places: u32,         // those of the digits found so far
}

var<uniform> digit: Digit;
var<uniform> step: Step;
var<storage, read> batch_cut: BatchCut;
var<storage, read_write> digit_counts: array<atomic<u32>>;

var<workgroup> counts: array<atomic<u32>, digits>;

fn count_vector(code_bits: vec4u) {
  let bits = relu_bits(code_bits);
  // Before the first digit the cut is the step's before.
  let before = batch_cut.bits & digit.places;
  count(bits.x, before);
  count(bits.y, before);
  count(bits.z, before);
  count(bits.w, before);
}

fn count(bits: u32, before: u32) {
  if (bits != 0 && (bits & digit.places) == before) {
    atomicAdd(&counts[(bits >> digit.shift) % digits], 1);
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var i = thread; i < digits; i += workgroup_size) {
    atomicStore(&counts[i], 0);
  }
  workgroupBarrier();
  for (var i = id.x; i < vectors(); i += groups.x * workgroup_size) {
    count_at(i);
  }
  workgroupBarrier();
  for (var i = thread; i < digits; i += workgroup_size) {
    let here = atomicLoad(&counts[i]);
    if (here != 0) {
      atomicAdd(&digit_counts[i], here);
    }
  }
}
