// Sets all but the k largest latents of each row to 0. Of equal latents the first stay. A workgroup a row.
// Latents are not negative, so that their bits are in the order of their values. The k-th largest is found digit by
// digit of 8 bits, from the highest: how many latents have each digit, of those with the digits found so far. Those at 0
// do not count: a row with no more than k others stays as it is. Expects sparse/lines.wgsl, wanted(). Provides the entry point.
override workgroup_size: u32 = 64;

struct TopK {
  column_blocks: u32,  // vec4s a row
}

// The digits found so far, in their places, and how many of the latents with just these digits stay; 0 if all latents do.
struct Found {
  bits: u32,
  staying: u32,
}

const digits = 256u;

var<uniform> topk: TopK;
var<storage, read_write> code: array<vec4u>;

var<workgroup> counts: array<atomic<u32>, digits>;
var<workgroup> found: Found;
var<workgroup> equal_before: array<u32, workgroup_size>;

fn count(bits: u32, places: u32, shift: u32, before: u32) {
  if (bits != 0 && (bits & places) == before) {
    atomicAdd(&counts[(bits >> shift) % digits], 1);
  }
}

// Finds the next digit: the latents with larger ones all stay.
fn choose(shift: u32) {
  var left = found.staying;
  for (var digit = digits; digit > 0; digit--) {
    let here = atomicLoad(&counts[digit - 1]);
    if (here >= left) {
      found = Found(found.bits | ((digit - 1) << shift), left);
      return;
    }
    left -= here;
  }
  // Fewer than k are above 0, and all of them stay.
  found = Found(0, 0);
}

fn keep(bits: vec4u, equal: ptr<function, u32>, limit: Found) -> vec4u {
  var kept = bits;
  for (var i = 0u; i < 4; i++) {
    let same = bits[i] == limit.bits;
    if (bits[i] < limit.bits || (same && *equal >= limit.staying)) {
      kept[i] = 0;
    }
    *equal += u32(same);
  }
  return kept;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  // Each invocation has some neighbouring vec4s, so that equal latents are counted in their order.
  let each = (topk.column_blocks + workgroup_size - 1) / workgroup_size;
  let first = min(thread * each, topk.column_blocks);
  let end = min(first + each, topk.column_blocks);
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let start = row * topk.column_blocks;
    if (thread == 0) {
      found = Found(0, wanted());
    }
    var places = 0u;
    for (var digit = 4u; digit > 0; digit--) {
      let shift = (digit - 1) * 8;
      for (var i = thread; i < digits; i += workgroup_size) {
        atomicStore(&counts[i], 0);
      }
      let before = workgroupUniformLoad(&found).bits;  // also a barrier
      for (var i = start + first; i < start + end; i++) {
        let bits = code[i];
        count(bits.x, places, shift, before);
        count(bits.y, places, shift, before);
        count(bits.z, places, shift, before);
        count(bits.w, places, shift, before);
      }
      workgroupBarrier();
      if (thread == 0) {
        choose(shift);
      }
      places |= 255u << shift;
      if (workgroupUniformLoad(&found).staying == 0) {
        break;
      }
    }
    let limit = workgroupUniformLoad(&found);
    if (limit.staying != 0) {
      var equal = vec4u(0);
      for (var i = start + first; i < start + end; i++) {
        equal += vec4u(code[i] == vec4u(limit.bits));
      }
      equal_before[thread] = equal.x + equal.y + equal.z + equal.w;
      workgroupBarrier();
      var mine = 0u;
      for (var i = 0u; i < thread; i++) {
        mine += equal_before[i];
      }
      for (var i = start + first; i < start + end; i++) {
        code[i] = keep(code[i], &mine, limit);
      }
    }
    workgroupBarrier();
  }
}
