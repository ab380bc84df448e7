// Of each row's list: the reconstruction, which is not stored, its squared error, the loss's gradient by it, and by each entry's value.
// A workgroup a row, which reads the decoder's rows, [latents, inputs], of the list's latents alone.
// Expects metrics/step.wgsl, sparse/lists.wgsl, scattered_row_at(), entry_at(), start_of(), target_at(), loss_scale(), finish_row(), workgroup_size, sum_lanes().
// Provides the entry point.
struct Decode {
  column_blocks: u32,  // vec4s a row of inputs
  first_list: u32,     // where the rows' lists begin
  first_gradient: u32, // where their gradients do
  list_rows: u32,      // from one kind of lists, or one level's gradients, to the next
}

var<uniform> step: Step;
var<uniform> decode: Decode;
var<uniform> divisor: f32;  // of a row's sum, as in layers/loss.wgsl
var<storage, read> row_lists: array<vec2u>;
var<storage, read_write> entries: array<Entry>;
var<storage, read_write> gradients: array<vec4f>;

// Stores the gradient by a vec4 of the reconstruction, and returns its squared error; 0 past the row's end.
fn finish(row: u32, column: u32, sum: vec4f, scale: f32) -> f32 {
  if (column >= decode.column_blocks) {
    return 0;
  }
  let difference = sum - target_at(row, column);
  gradients[(decode.first_gradient + row) * decode.column_blocks + column] = scale * difference;
  return dot(difference, difference);
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let stride = decode.column_blocks;
  let scale = loss_scale();
  for (var row = lines.first + group.x; row < lines.end; row += groups.x) {
    let list = row_lists[decode.first_list + row];
    if (!is_ours(list.x)) {
      continue;
    }
    var squared_error = 0.0;
    if (row < step.rows) {
      // Four vec4s an invocation: the entry is read once for them.
      for (var first = 0u; first < stride; first += 4 * workgroup_size) {
        let columns = vec4u(first + lane) + workgroup_size * vec4u(0, 1, 2, 3);
        // Past the row's end the last vec4 is read again.
        let read = min(columns, vec4u(stride - 1));
        var sums = mat4x4f(start_of(read.x), start_of(read.y), start_of(read.z), start_of(read.w));
        for (var n = list.x; n < list.y; n++) {
          let entry = entry_at(n);
          let weights = mat4x4f(
            scattered_row_at(entry.latent, stride, read.x),
            scattered_row_at(entry.latent, stride, read.y),
            scattered_row_at(entry.latent, stride, read.z),
            scattered_row_at(entry.latent, stride, read.w),
          );
          sums += entry.value * weights;
        }
        // In a loop, which compiles sooner; see row_of() in gemm/gemm.wgsl.
        var errors = vec4f();
        for (var column = columns.x; column < columns.x + 4 * workgroup_size; column += workgroup_size) {
          let at = columns == vec4u(column);
          let sum = select(select(sums[0], sums[1], at.y), select(sums[2], sums[3], at.w), at.z || at.w);
          errors = select(errors, vec4f(finish(row, column, sum, scale)), at);
        }
        squared_error += errors.x + errors.y;
        squared_error += errors.z + errors.w;
      }
      // Four entries at a time: an invocation reads each of its gradients, which it stored itself, once for them.
      for (var n = list.x; n < list.y; n += 4) {
        let last = list.y - 1;
        let latents = vec4u(
          entry_at(n).latent,
          entry_at(min(n + 1, last)).latent,
          entry_at(min(n + 2, last)).latent,
          entry_at(min(n + 3, last)).latent,
        );
        var products = vec4f(0);
        for (var column = lane; column < stride; column += workgroup_size) {
          let gradient = gradients[(decode.first_gradient + row) * stride + column];
          products += vec4f(
            dot(gradient, scattered_row_at(latents.x, stride, column)),
            dot(gradient, scattered_row_at(latents.y, stride, column)),
            dot(gradient, scattered_row_at(latents.z, stride, column)),
            dot(gradient, scattered_row_at(latents.w, stride, column)),
          );
        }
        let totals = sum_lanes(products, lane);
        if (lane == 0) {
          entries[n].gradient = totals.x;
          if (n < last) {
            entries[n + 1].gradient = totals.y;
          }
          if (n + 1 < last) {
            entries[n + 2].gradient = totals.z;
          }
          if (n + 2 < last) {
            entries[n + 3].gradient = totals.w;
          }
        }
      }
    }
    let total = sum_lanes(vec4f(squared_error, 0, 0, 0), lane).x;
    if (lane == 0) {
      finish_row(row, total, list.y - list.x);
    }
  }
}
