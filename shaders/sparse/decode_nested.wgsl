// Of each row's list: the reconstruction of each level, which are not stored, their squared errors, the gradients of the loss by them, and by
// each entry's value. The loss is the sum of all levels' losses, each as in layers/loss.wgsl. So a latent has the gradients of its own
// level and all after it: `gradients` [levels, rows, inputs] has the sum of these. A workgroup a row, which reads the decoder's rows, [latents, inputs].
// Expects metrics/step.wgsl, sparse/lists.wgsl, sparse/nested_levels.wgsl, scattered_row_at(), entry_at(), workgroup_size, sum_lanes(). Provides the entry point.
override centred: bool = false;  // the batch is already less the bias, which then cancels out

struct Decode {
  column_blocks: u32,  // vec4s a row of inputs
  first_list: u32,
  first_gradient: u32,
  list_rows: u32,      // from one level's gradients to the next
}

var<uniform> step: Step;
var<uniform> decode: Decode;
var<uniform> divisor: f32;  // of a row's sum, as in layers/loss.wgsl
var<storage, read> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read> bias: array<vec4f>;
var<storage, read> batch: array<vec4f>;
var<storage, read_write> gradients: array<vec4f>;
var<storage, read_write> shares: array<Share>;

fn gradient_at(level: u32, row: u32, column: u32) -> u32 {
  return (level * decode.list_rows + row) * decode.column_blocks + column;
}

// Stores a column's gradients, and returns the squared errors of the levels before the last, and of the last.
fn decode_column(row: u32, column: u32, list: vec2u, scale: f32) -> vec2f {
  let own = batch[row * decode.column_blocks + column];
  var sum = select(bias[column], vec4f(0), centred);
  var errors = vec2f(0);
  var n = list.x;
  for (var level = 0u; level < levels.count; level++) {
    let end = end_of(level);
    for (; n < list.y; n++) {
      let entry = entry_at(n);
      if (entry.latent >= end) {
        break;
      }
      sum += entry.value * scattered_row_at(entry.latent, decode.column_blocks, column);
    }
    let difference = sum - own;
    let squares = dot(difference, difference);
    errors += select(vec2f(squares, 0), vec2f(0, squares), level + 1 == levels.count);
    gradients[gradient_at(level, row, column)] = scale * difference;
  }
  var all = vec4f(0);
  for (var level = levels.count; level > 0; level--) {
    let at = gradient_at(level - 1, row, column);
    all += gradients[at];
    gradients[at] = all;
  }
  return errors;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let stride = decode.column_blocks;
  let all = f32(step.rows) * divisor;
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let list = row_lists[row];
    if (!is_ours(list.x)) {
      continue;
    }
    var errors = vec2f(0);
    if (row < step.rows) {
      for (var column = lane; column < stride; column += workgroup_size) {
        errors += decode_column(row, column, list, 2 / all);
      }
      for (var n = list.x; n < list.y; n++) {
        let latent = entry_at(n).latent;
        let level = level_of(latent);
        var products = vec4f(0);
        for (var column = lane; column < stride; column += workgroup_size) {
          products += gradients[gradient_at(level, row, column)] * scattered_row_at(latent, stride, column);
        }
        let total = sum_lanes(products, lane);
        if (lane == 0) {
          entries[n].gradient = (total.x + total.y) + (total.z + total.w);
        }
      }
    }
    let total = sum_lanes(vec4f(errors, 0, 0), lane);
    if (lane == 0) {
      shares[row] = Share(vec4f(0, 0, total.x / all, 0), total.y, list.y - list.x);
    }
  }
}
