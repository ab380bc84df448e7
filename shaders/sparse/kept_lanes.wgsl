// As sparse/kept_counts.wgsl and sparse/kept_lists.wgsl, for software adapters: an invocation a row, which reads only vec4s whose maximum reaches the
// cut. Dispatched twice: first it only counts.
// Expects metrics/step.wgsl, sparse/lists.wgsl, sparse/maxima.wgsl, sparsity/batch_cut.wgsl. Provides the entry point.
override listing: bool;

const workgroup_size = 8u;

struct Kept {
  rows: u32,
  column_blocks: u32,
  bitmap_words: u32,   // of a latent
}

var<uniform> kept: Kept;
var<uniform> step: Step;
var<storage, read> batch_cut: BatchCut;
var<storage, read> code: array<vec4u>;
var<storage, read> code_maxima: array<vec4u>;
var<storage, read> row_offsets: array<u32>;
var<storage, read_write> row_counts: array<u32>;
var<storage, read_write> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read_write> bitmaps: array<atomic<u32>>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let cut = batch_cut;
  // What lies past a row's end is 0.
  let limit = max(cut.bits, 1);
  for (var row = id.x; row < kept.rows; row += groups.x * workgroup_size) {
    let start = row_offsets[row];
    let end = select(0, maxima.stride, row < step.rows);
    var found = 0u;
    for (var i = 0u; i < end; i++) {
      var keys = code_maxima[row * maxima.stride + i];
      if (all(keys < vec4u(limit))) {
        continue;
      }
      for (var block = i * 4; block < i * 4 + 4; block++) {
        let key = keys.x;
        keys = keys.yzwx;
        if (key < limit) {
          continue;
        }
        let at = row * maxima.code_vectors + block;
        var bits = code[at];
        let here = vec4u(stays(cut, bits, at));
        if (!listing) {
          found += (here.x + here.y) + (here.z + here.w);
          continue;
        }
        var staying = here;
        for (var latent = block * 4; latent < block * 4 + 4; latent++) {
          if (staying.x != 0) {
            entries[start + found] = Entry(latent, bitcast<f32>(bits.x), 0);
            atomicOr(&bitmaps[latent * kept.bitmap_words + row / 32], 1u << (row % 32));
            found++;
          }
          staying = staying.yzwx;
          bits = bits.yzwx;
        }
      }
    }
    if (listing) {
      row_lists[row] = vec2u(start, start + found);
    } else {
      row_counts[row] = found;
    }
  }
}
