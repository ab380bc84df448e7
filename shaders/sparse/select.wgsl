// Lists the k largest latents of each row; of equal ones the first. Those at 0 are never listed, so a row with fewer above 0 has a shorter list.
// A workgroup a row. The k-th largest maximum of spans of neighbouring latents is a lower bound: only the k spans that reach it, the
// first of equal ones, can matter, and of their latents those that reach it, which are few. The k-th largest is found in two bits a turn: latents
// are not negative, so that their bits are in the order of their values. Also notes each entry in its latent's bitmap of rows.
// Expects metrics/step.wgsl, sparse/lists.wgsl, considered(), wanted(), workgroup_size, add_lanes(), before_lanes(). Provides the entry point.
override capacity: u32;     // keys that are held: at least as many as a row has spans
override most_chosen: u32;  // spans that can matter: as many as k at most, or all

struct Selection {
  rows: u32,
  column_blocks: u32,  // vec4s a row
  spans: u32,          // of a row
  span_shift: u32,     // 2^span_shift vec4s are one
  most: u32,           // entries of a row that there is room for
  bitmap_words: u32,   // of a latent
  first_list: u32,     // where the rows' lists begin
  first_entry: u32,
}

var<uniform> step: Step;
var<uniform> selection: Selection;
var<storage, read> code: array<vec4u>;
var<storage, read_write> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read_write> bitmaps: array<atomic<u32>>;

var<workgroup> keys: array<u32, capacity>;
var<workgroup> candidates: atomic<u32>;
var<workgroup> chosen: array<u32, most_chosen>;

fn bits_at(start: u32, block: u32) -> vec4u {
  let last = selection.column_blocks - 1;
  let read = min(block, last);
  return select(vec4u(0), considered(code[start + read], read), block <= last);
}

// Block i of the chosen spans.
fn chosen_block(i: u32) -> u32 {
  let shift = selection.span_shift;
  return (chosen[i >> shift] << shift) + (i & ((1u << shift) - 1));
}

fn reaching(bits: u32, limits: vec3u) -> vec3u {
  return vec3u(vec3u(bits) >= limits);
}

// The k-th largest of `count` keys or, if they were too many to be held, of the latents in `blocks` blocks of the chosen
// spans. At least 1, so that it is no more than any key above 0 if there are fewer than k.
fn kth_largest(k: u32, count: u32, blocks: u32, start: u32, lane: u32) -> u32 {
  let held = count <= capacity;
  // One of the two loops does nothing: a branch would read for all lanes what either needs.
  let held_end = select(0, count, held);
  let blocks_end = select(blocks, 0, held);
  var found = 0u;
  for (var turn = 0u; turn < 16; turn++) {
    let shift = 30 - 2 * turn;
    let limits = vec3u(found) + (vec3u(1, 2, 3) << vec3u(shift));
    var reached = vec3u(0);
    for (var i = lane; i < held_end; i += workgroup_size) {
      reached += reaching(keys[i], limits);
    }
    for (var i = lane; i < blocks_end; i += workgroup_size) {
      let bits = bits_at(start, chosen_block(i));
      reached += reaching(bits.x, limits) + reaching(bits.y, limits) + reaching(bits.z, limits) + reaching(bits.w, limits);
    }
    let digit = vec3u(add_lanes(reached, lane) >= vec3u(k));
    found += (digit.x + digit.y + digit.z) << shift;
  }
  return max(found, 1);
}

// How many are above the limit, and how many equal it.
fn compared(bits: u32, limit: u32) -> vec2u {
  return vec2u(u32(bits > limit), u32(bits == limit));
}

fn offer(bits: u32, limit: u32) {
  if (bits >= limit) {
    let at = atomicAdd(&candidates, 1);
    if (at < capacity) {
      keys[at] = bits;
    }
  }
}

// Of what a limit lets through: how many, and how many of those that equal it.
struct Limit {
  bits: u32,
  equal: u32,
}

// Lists a latent if it is let through. `seen`: how many before it were above the limit, and how many equal.
fn list(bits: u32, latent: u32, row: u32, limit: Limit, seen: ptr<function, vec2u>) {
  let here = compared(bits, limit.bits);
  if (here.x + here.y * u32((*seen).y < limit.equal) != 0) {
    let at = selection.first_entry + row * selection.most + (*seen).x + min((*seen).y, limit.equal);
    entries[at] = Entry(latent, bitcast<f32>(bits), 0);
    let place = selection.first_list + row;
    atomicOr(&bitmaps[latent * selection.bitmap_words + place / 32], 1u << (place % 32));
  }
  *seen += here;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let k = min(wanted(), selection.most);
  for (var row = group.x; row < selection.rows; row += groups.x) {
    let first_entry = selection.first_entry + row * selection.most;
    if (row >= step.rows) {
      if (lane == 0) {
        row_lists[selection.first_list + row] = vec2u(first_entry);
      }
      continue;
    }
    let start = row * selection.column_blocks;

    if (lane == 0) {
      atomicStore(&candidates, 0);
    }
    for (var span = lane; span < selection.spans; span += workgroup_size) {
      var largest = vec4u(0);
      for (var i = span << selection.span_shift; i < (span + 1) << selection.span_shift; i++) {
        largest = max(largest, bits_at(start, i));
      }
      keys[span] = max(max(largest.x, largest.y), max(largest.z, largest.w));
    }
    workgroupBarrier();
    let bound = kth_largest(k, selection.spans, 0, start, lane);

    // Each invocation has some neighbouring ones, so that equal ones are counted in their order.
    let spans_each = (selection.spans + workgroup_size - 1) / workgroup_size;
    let spans_end = min((lane + 1) * spans_each, selection.spans);
    var own = vec2u(0);
    for (var span = lane * spans_each; span < spans_end; span++) {
      own += compared(keys[span], bound);
    }
    var seen = before_lanes(own, lane);
    var all = add_lanes(vec3u(own, 0), lane);
    var equal = k - all.x;
    for (var span = lane * spans_each; span < spans_end; span++) {
      let here = compared(keys[span], bound);
      if (here.x + here.y * u32(seen.y < equal) != 0) {
        chosen[seen.x + min(seen.y, equal)] = span;
      }
      seen += here;
    }
    let blocks = (all.x + min(all.y, equal)) << selection.span_shift;
    workgroupBarrier();

    for (var i = lane; i < blocks; i += workgroup_size) {
      let bits = bits_at(start, chosen_block(i));
      offer(bits.x, bound);
      offer(bits.y, bound);
      offer(bits.z, bound);
      offer(bits.w, bound);
    }
    workgroupBarrier();
    let limit = kth_largest(k, atomicLoad(&candidates), blocks, start, lane);

    let each = (blocks + workgroup_size - 1) / workgroup_size;
    let end = min((lane + 1) * each, blocks);
    own = vec2u(0);
    for (var i = lane * each; i < end; i++) {
      let bits = bits_at(start, chosen_block(i));
      own += compared(bits.x, limit) + compared(bits.y, limit) + compared(bits.z, limit) + compared(bits.w, limit);
    }
    seen = before_lanes(own, lane);
    all = add_lanes(vec3u(own, 0), lane);
    equal = k - all.x;
    for (var i = lane * each; i < end; i++) {
      let block = chosen_block(i);
      let bits = bits_at(start, block);
      list(bits.x, block * 4, row, Limit(limit, equal), &seen);
      list(bits.y, block * 4 + 1, row, Limit(limit, equal), &seen);
      list(bits.z, block * 4 + 2, row, Limit(limit, equal), &seen);
      list(bits.w, block * 4 + 3, row, Limit(limit, equal), &seen);
    }
    if (lane == 0) {
      row_lists[selection.first_list + row] = vec2u(first_entry, first_entry + all.x + min(all.y, equal));
    }
    workgroupBarrier();
  }
}
