// Lists the k largest latents of each row, of equal ones the first, as sparse/select.wgsl does: for software adapters, an invocation a row, which
// needs no barrier and no sum over others. Latents at 0 are never listed.
// On three levels: only the k spans with the largest maxima, the first of equal ones, can matter, then the k vec4s of these, then the k latents.
// Also notes each entry in its latent's bitmap of rows.
// Expects metrics/step.wgsl, sparse/lists.wgsl, sparse/relu_bits.wgsl, sparse/maxima.wgsl. Provides the entry point.
override most_chosen: u32;  // of spans, and of vec4s: at least k

const workgroup_size = 8u;
const many = 0xffffffffu;

struct Selection {
  rows: u32,
  most: u32,           // entries of a row that there is room for
  bitmap_words: u32,   // of a latent
  first_list: u32,     // where the rows' lists begin
  first_entry: u32,
}

var<uniform> step: Step;
var<uniform> selection: Selection;
var<storage, read> code: array<vec4u>;
var<storage, read_write> code_maxima: array<vec4u>;
var<storage, read_write> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read_write> bitmaps: array<atomic<u32>>;

// The spans that were chosen, then the vec4s. Each invocation has places of its own.
var<workgroup> chosen: array<u32, 2 * most_chosen * workgroup_size>;

fn place(level: u32, i: u32, lane: u32) -> u32 {
  return (level * most_chosen + i) * workgroup_size + lane;
}

fn least_of(values: vec4u) -> u32 {
  return min(min(values.x, values.y), min(values.z, values.w));
}

// Stores the maxima of a row's spans, and returns the least and the largest.
fn make_spans(row: u32) -> vec2u {
  let start = row * maxima.stride;
  var next = start + maxima.span_vectors;
  var extremes = vec2u(many, 0);
  for (var i = 0u; i < maxima.span_vectors; i++) {
    var keys = vec4u(0);
    for (var j = 0u; j < 4; j++) {
      let end = next + (1u << maxima.span_shift);
      var largest = vec4u(0);
      for (; next < end; next++) {
        largest = max(largest, code_maxima[next]);
      }
      let key = largest_of(largest);
      extremes = vec2u(min(extremes.x, key), max(extremes.y, key));
      keys = vec4u(keys.yzw, key);
    }
    code_maxima[start + i] = keys;
  }
  return extremes;
}

// Vec4 i of a row's keys on a level.
fn keys_at(level: u32, row: u32, i: u32) -> vec4u {
  if (level == 2) {
    return relu_bits(code[row * maxima.code_vectors + i]);
  }
  return code_maxima[row * maxima.stride + select(maxima.span_vectors, 0, level == 0) + i];
}

// Log2 of the vec4s of a level that belong to one that was chosen on the level before.
fn shift_of(level: u32) -> u32 {
  return select(0, maxima.span_shift, level == 1);
}

// Where the n-th vec4 lies of those that belong to what was chosen on the level before.
fn vector_at(level: u32, n: u32, lane: u32) -> u32 {
  if (level == 0) {
    return n;
  }
  let shift = shift_of(level);
  return (chosen[place(level - 1, n >> shift, lane)] << shift) + (n & ((1u << shift) - 1));
}

fn reaching(key: u32, limits: vec4u) -> vec4u {
  return vec4u(vec4u(key) >= limits);
}

// What a level's keys have to reach: `least` and `most` bound them, at least k reach `least` unless it is 1.
struct Range {
  least: u32,
  most: u32,
}

// Chooses on a level, of what belongs to the `count` that were chosen before, the k with the largest keys. Returns how many, which is less if fewer are
// above 0, and up to half as many more between two levels, where a few more are cheaper to look at than to tell apart.
fn choose(level: u32, row: u32, k: u32, count: u32, range: ptr<function, Range>, lane: u32) -> u32 {
  let vectors = select(count << shift_of(level), maxima.span_vectors, level == 0);
  let room = select(min(k + k / 2, most_chosen), k, level == 2);
  // At least k reach `low`, or it is 1. Fewer reach `high`.
  var low = (*range).least;
  var high = (*range).most + 1;
  var at_low = many;
  var at_high = 0u;
  while (high > low + 1 && at_low > room) {
    let part = (high - low + 3) / 4;
    let limits = vec4u(low) + part * vec4u(0, 1, 2, 3);
    var reached = vec4u(0);
    for (var n = 0u; n < vectors; n++) {
      let keys = keys_at(level, row, vector_at(level, n, lane));
      reached += reaching(keys.x, limits) + reaching(keys.y, limits);
      reached += reaching(keys.z, limits) + reaching(keys.w, limits);
    }
    let enough = reached >= vec4u(k);
    let parts = vec4u(enough);
    let digit = (parts.x + parts.y) + (parts.z + parts.w);
    high = min(low + digit * part, high);
    low += (max(digit, 1) - 1) * part;
    at_low = least_of(select(vec4u(many), reached, enough));
    let fewer = select(reached, vec4u(0), enough);
    at_high = max(at_high, largest_of(fewer));
  }
  (*range).least = low;

  // Those that reach `high`, and the first of the others that reach `low`.
  let wanted = select(k, at_low, at_low <= room);
  var others = wanted - at_high;
  let first_entry = selection.first_entry + row * selection.most;
  let list = selection.first_list + row;
  var found = 0u;
  for (var n = 0u; n < vectors; n++) {
    let at = vector_at(level, n, lane);
    var keys = keys_at(level, row, at);
    if (largest_of(keys) < low) {
      continue;
    }
    for (var i = at * 4; i < at * 4 + 4; i++) {
      let key = keys.x;
      keys = keys.yzwx;
      let is_other = key < high;
      if (key < low || found == wanted || (is_other && others == 0)) {
        continue;
      }
      others -= u32(is_other);
      if (level < 2) {
        chosen[place(level, found, lane)] = i;
      } else {
        entries[first_entry + found] = Entry(i, bitcast<f32>(key), 0);
        atomicOr(&bitmaps[i * selection.bitmap_words + list / 32], 1u << (list % 32));
      }
      found++;
    }
  }
  return found;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let k = min(u32(step.coefficients.w), selection.most);
  for (var row = group.x * workgroup_size + lane; row < selection.rows; row += groups.x * workgroup_size) {
    var count = 0u;
    if (row < step.rows) {
      let extremes = make_spans(row);
      // With fewer spans than k, their least maximum is no bound.
      var range = Range(select(max(extremes.x, 1), 1, 4 * maxima.span_vectors < k), extremes.y);
      count = choose(0, row, k, count, &range, lane);
      count = choose(1, row, k, count, &range, lane);
      count = choose(2, row, k, count, &range, lane);
    }
    let first_entry = selection.first_entry + row * selection.most;
    row_lists[selection.first_list + row] = vec2u(first_entry, first_entry + count);
  }
}
