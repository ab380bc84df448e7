// Lists the k largest latents of each row; of equal ones the first. considered() makes a key of a latent's bits: keys are in the order of values, and
// those at 0 are never listed, so a row with fewer others has a shorter list.
// A workgroup a row. The k-th largest maximum of spans of neighbouring latents is a lower bound: only the k spans that reach it, the
// first of equal ones, can matter, and of their latents those that reach it, which are few. The k-th largest is found in two bits a turn.
// Also notes each entry in its latent's bitmap of rows.
// Expects metrics/step.wgsl, sparse/lists.wgsl, considered(), value_of(), wanted(), workgroup_size, add_lanes(), max_lanes(), before_lanes(). Provides the entry point.
override capacity: u32;     // keys that are held: at least as many as a row has spans
override most_chosen: u32;  // spans that can matter: as many as k at most, or all

struct Selection {
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
var<workgroup> places: array<u32, capacity>;  // of the keys: latents
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

// A limit that the k largest reach and no others, unless the k-th has equals: then it is these. Of `count` keys or, if they were too many to be held,
// of the latents in `blocks` blocks of the chosen spans. At least 1, so that it is no more than any key above 0 if there are fewer than k.
// None is below `least` or above `most`.
fn limit_of(k: u32, count: u32, blocks: u32, start: u32, least: u32, most: u32, lane: u32) -> u32 {
  let held = count <= capacity;
  // One of the two loops does nothing: a branch would read for all lanes what either needs.
  let held_end = select(0, count, held);
  let blocks_end = select(blocks, 0, held);
  // The leading bits that all have in common.
  let first_turn = countLeadingZeros(least ^ most) / 2;
  var found = least & ~((0xffffffffu >> first_turn) >> first_turn);
  for (var turn = first_turn; turn < 16; turn++) {
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
    let all = add_lanes(reached, lane);
    let digit = vec3u(all >= vec3u(k));
    found += (digit.x + digit.y + digit.z) << shift;
    if (any(all == vec3u(k))) {
      break;
    }
  }
  return max(found, 1);
}

// How many are above the limit, and how many equal it.
fn compared(bits: u32, limit: u32) -> vec2u {
  return vec2u(u32(bits > limit), u32(bits == limit));
}

// Holds a latent that reaches the bound, if there is room.
fn hold(bits: u32, latent: u32, bound: u32, at: ptr<function, u32>) {
  if (bits >= bound) {
    if (*at < capacity) {
      keys[*at] = bits;
      places[*at] = latent;
    }
    *at += 1;
  }
}

fn candidate_bits(i: u32, held: bool, start: u32) -> u32 {
  if (held) {
    return keys[i];
  }
  return bits_at(start, chosen_block(i / 4))[i % 4];
}

fn candidate_latent(i: u32, held: bool) -> u32 {
  if (held) {
    return places[i];
  }
  return chosen_block(i / 4) * 4 + i % 4;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let k = min(wanted(), selection.most);
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let first_entry = selection.first_entry + row * selection.most;
    let list = selection.first_list + row;
    if (row >= step.rows) {
      if (lane == 0) {
        row_lists[list] = vec2u(first_entry);
      }
      continue;
    }
    let start = row * selection.column_blocks;

    var extremes = vec2u(0);  // the largest, and the complement of the least
    for (var span = lane; span < selection.spans; span += workgroup_size) {
      var largest = vec4u(0);
      for (var i = span << selection.span_shift; i < (span + 1) << selection.span_shift; i++) {
        largest = max(largest, bits_at(start, i));
      }
      let key = max(max(largest.x, largest.y), max(largest.z, largest.w));
      keys[span] = key;
      extremes = max(extremes, vec2u(key, ~key));
    }
    extremes = max_lanes(extremes, lane);
    workgroupBarrier();
    // With fewer spans than k, their least maximum is no bound.
    let least = select(~extremes.y, 0, selection.spans < k);
    let bound = limit_of(k, selection.spans, 0, start, least, extremes.x, lane);

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

    // The candidates, in order.
    let blocks_each = (blocks + workgroup_size - 1) / workgroup_size;
    let first_block = lane * blocks_each;
    let blocks_end = min(first_block + blocks_each, blocks);
    var mine = vec4u(0);
    for (var i = first_block; i < blocks_end; i++) {
      mine += vec4u(bits_at(start, chosen_block(i)) >= vec4u(bound));
    }
    own = vec2u(mine.x + mine.y + mine.z + mine.w, 0);
    var at = before_lanes(own, lane).x;
    let count = add_lanes(vec3u(own, 0), lane).x;
    for (var i = first_block; i < blocks_end; i++) {
      let block = chosen_block(i);
      let bits = bits_at(start, block);
      hold(bits.x, block * 4, bound, &at);
      hold(bits.y, block * 4 + 1, bound, &at);
      hold(bits.z, block * 4 + 2, bound, &at);
      hold(bits.w, block * 4 + 3, bound, &at);
    }
    workgroupBarrier();
    let limit = limit_of(k, count, blocks, start, bound, extremes.x, lane);

    let held = count <= capacity;
    let candidates = select(blocks * 4, count, held);
    let each = (candidates + workgroup_size - 1) / workgroup_size;
    let end = min((lane + 1) * each, candidates);
    own = vec2u(0);
    for (var i = lane * each; i < end; i++) {
      own += compared(candidate_bits(i, held, start), limit);
    }
    seen = before_lanes(own, lane);
    all = add_lanes(vec3u(own, 0), lane);
    equal = k - all.x;
    for (var i = lane * each; i < end; i++) {
      let bits = candidate_bits(i, held, start);
      let here = compared(bits, limit);
      if (here.x + here.y * u32(seen.y < equal) != 0) {
        let latent = candidate_latent(i, held);
        entries[first_entry + seen.x + min(seen.y, equal)] = Entry(latent, value_of(bits), 0);
        atomicOr(&bitmaps[latent * selection.bitmap_words + list / 32], 1u << (list % 32));
      }
      seen += here;
    }
    if (lane == 0) {
      row_lists[list] = vec2u(first_entry, first_entry + all.x + min(all.y, equal));
    }
    workgroupBarrier();
  }
}
