// For sparsity/batch_histogram.wgsl: only of vec4s whose maximum reaches both the bound that the maxima give and the digits found so far.
// Expects sparse/maxima.wgsl, count_vector(). Provides vectors(), count_at().
var<storage, read> code: array<vec4u>;
var<storage, read> code_maxima: array<vec4u>;
var<storage, read> batch_bound: u32;

fn vectors() -> u32 {
  return step.rows * maxima.stride;
}

fn count_at(i: u32) {
  var keys = code_maxima[i];
  // What lies past the row's end is 0.
  let limit = max(max(batch_bound, batch_cut.bits & digit.places), 1);
  if (all(keys < vec4u(limit))) {
    return;
  }
  let row = i / maxima.stride;
  let first = row * maxima.code_vectors + (i - row * maxima.stride) * 4;
  for (var j = first; j < first + 4; j++) {
    if (keys.x >= limit) {
      count_vector(code[j]);
    }
    keys = keys.yzwx;
  }
}
