// Finds the next digit of the cut: latents with larger ones all stay. One workgroup. coefficients.w: how many latents of the batch
// stay, at most. Sets the counts to 0 for the next digit. Expects metrics/step.wgsl, sparsity/batch_cut.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
// Of maxima: the digit is a bound, which as many of them reach as latents stay. Without so many there is none.
override bounding: bool = false;

const digits = 2048u;

struct Digit {
  column_blocks: u32,
  shift: u32,
  places: u32,
}

var<uniform> digit: Digit;
var<uniform> step: Step;
var<storage, read_write> digit_counts: array<u32>;
var<storage, read_write> batch_cut: BatchCut;
var<storage, read_write> batch_bound: u32;

var<workgroup> sums: array<u32, workgroup_size>;

// The digit at which the count from the highest one down reaches `left`.
fn choose(staying: u32, found: u32, each: u32) {
  var left = staying;
  var part = workgroup_size - 1;
  while (part > 0 && sums[part] < left) {
    left -= sums[part];
    part--;
  }
  var value = min((part + 1) * each, digits) - 1;
  while (value > part * each && digit_counts[value] < left) {
    left -= digit_counts[value];
    value--;
  }
  if (bounding) {
    batch_bound = value << digit.shift;
  } else {
    batch_cut = BatchCut(found | (value << digit.shift), left, digit_counts[value], 0xffffffff);
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  let each = (digits + workgroup_size - 1) / workgroup_size;
  let first = min(thread * each, digits);
  let end = min(first + each, digits);
  var sum = 0u;
  for (var i = first; i < end; i++) {
    sum += digit_counts[i];
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    var staying = batch_cut.staying;
    if (digit.places == 0) {
      var all = 0u;
      for (var i = 0u; i < workgroup_size; i++) {
        all += sums[i];
      }
      staying = min(u32(step.coefficients.w), all);
    }
    if (bounding && staying < u32(step.coefficients.w)) {
      batch_bound = 0;
    } else if (staying == 0) {
      // Above all.
      batch_cut = BatchCut(0xffffffff, 0, 0, 0xffffffff);
    } else {
      choose(staying, batch_cut.bits & digit.places, each);
    }
  }
  workgroupBarrier();
  for (var i = first; i < end; i++) {
    digit_counts[i] = 0;
  }
}
