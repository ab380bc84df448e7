// Ends the search for the cut. Where not all of the latents that are equal to the smallest one stay: finds the last that does,
// which is slow in one workgroup, but such batches are rare. And follows that smallest latent by a running mean, the threshold of the
// trained model, which is corrected for its beginning as Adam's moments are: after the first batch it is that batch's.
// Expects metrics/step.wgsl, sparsity/batch_cut.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
override follows: bool = true;  // whether the threshold does: not where the cut is that of a part of a batch

// Of a batch in the running mean, as in SAELens.
const share = 0.01;

struct Batch {
  column_blocks: u32,  // vec4s a row
}

var<uniform> batch: Batch;
var<uniform> step: Step;
var<uniform> state: State;
var<storage, read> code: array<vec4u>;
var<storage, read_write> batch_cut: BatchCut;
var<storage, read_write> thresholds: array<f32>;
var<storage, read_write> threshold_weight: f32;  // of all batches so far

var<workgroup> cut: BatchCut;
var<workgroup> equal_in: array<u32, workgroup_size>;

fn follow(smallest: f32) {
  // A model that is trained on has a threshold already.
  let before = select(threshold_weight, 1, threshold_weight == 0 && thresholds[0] > 0);
  let weight = before + share * (1 - before);
  thresholds[0] += share / weight * (smallest - thresholds[0]);
  threshold_weight = weight;
}

fn equal_at(i: u32) -> vec4u {
  return vec4u(relu_bits(code[i]) == vec4u(cut.bits));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread == 0) {
    cut = batch_cut;
    let smallest = bitcast<f32>(cut.bits);
    if (follows && cut.staying != 0 && state.halted == 0 && is_finite(smallest)) {
      follow(smallest);
    }
  }
  let found = workgroupUniformLoad(&cut);
  if (found.staying == found.equal) {
    return;
  }
  // Each invocation has some neighbouring vec4s.
  let all = step.rows * batch.column_blocks;
  let each = (all + workgroup_size - 1) / workgroup_size;
  let first = min(thread * each, all);
  let end = min(first + each, all);
  var equal = 0u;
  for (var i = first; i < end; i++) {
    let here = equal_at(i);
    equal += here.x + here.y + here.z + here.w;
  }
  equal_in[thread] = equal;
  workgroupBarrier();
  var before = 0u;
  for (var i = 0u; i < thread; i++) {
    before += equal_in[i];
  }
  if (before >= found.staying || before + equal < found.staying) {
    return;
  }
  for (var i = first; i < end; i++) {
    let here = equal_at(i);
    for (var j = 0u; j < 4; j++) {
      before += here[j];
      if (here[j] != 0 && before == found.staying) {
        batch_cut.last = i * 4 + j;
      }
    }
  }
}
