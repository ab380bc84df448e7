// Adds up the gradient of each latent's weights from its list, and updates them: it is never stored. Of the decoder, a latent's
// gradient is the sum of its values times the gradients of the rows' reconstructions; of the encoder, of its values' gradients times the rows.
// A workgroup a latent; one without entries has the gradient 0. With the decoder also comes the gradient of the encoder's bias.
// With unit_norm the gradient loses its part along the weights: a step along them would be undone when they are scaled to norm 1, which is
// done after the update. That part is known without the gradient: its product with the weights is the sum of the values times their gradients.
// The scattered rows, [rows, inputs], are gradients of reconstructions, level by level, or the encoder's input.
// Expects metrics/step.wgsl, sparse/lists.wgsl, scattered_row_at(), latent_entry_at(), level_of(), updates, take(), end_latent(), workgroup_size, sum_lanes().
// Provides the entry point.
override of_decoder: bool;
override unit_norm: bool = false;
override aux_trains_encoder: bool = true;  // whether the encoder has the gradients of second lists

struct Latents {
  column_blocks: u32,  // vec4s of weights
  list_rows: u32,      // from a row to its second list
  levels: u32,         // of gradients of reconstructions
}

var<uniform> update: Step;
var<uniform> state: State;
var<uniform> latents: Latents;
var<storage, read> latent_offsets: array<u32>;
var<storage, read_write> weights: array<vec4f>;  // [latents, inputs]
var<storage, read_write> code_bias_gradients: array<f32>;

// Where the values lie that belong to an entry: for its second list, a row has the same input and another gradient.
fn values_of(row: u32, level: u32) -> u32 {
  let second = row >= latents.list_rows;
  if (of_decoder) {
    return row + latents.list_rows * select(level, latents.levels - 1, second);
  }
  return row - select(0, latents.list_rows, second);
}

// The gradient of an entry's value, as the encoder takes it.
fn to_encoder(entry: LatentEntry) -> f32 {
  return select(0, entry.gradient, aux_trains_encoder || entry.row < latents.list_rows);
}

// The sum of squares of a latent's weights.
fn squares_of(start: u32, lane: u32) -> f32 {
  var squares = vec4f(0);
  for (var column = lane; column < latents.column_blocks; column += workgroup_size) {
    let weight = weights[start + column];
    squares += weight * weight;
  }
  let sum = sum_lanes(squares, lane);
  return (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  if (state.halted != 0) {
    return;
  }
  for (var latent = lines.first + group.x; latent < lines.end; latent += groups.x) {
    let first = latent_offsets[latent];
    if (!is_ours(first)) {
      continue;
    }
    let end = latent_offsets[latent + 1];
    let start = latent * latents.column_blocks;
    let level = level_of(latent);
    var along = 0.0;
    if (of_decoder) {
      var bias_gradient = 0.0;
      for (var n = first; n < end; n++) {
        let entry = latent_entry_at(n);
        bias_gradient += to_encoder(entry);
        along += entry.value * entry.gradient;
      }
      if (lane == 0) {
        code_bias_gradients[latent] = bias_gradient;
      }
    }
    if (unit_norm) {
      let squares = squares_of(start, lane);
      along = select(0, along / squares, squares > 0);
    }
    // Four vec4s an invocation: the entry is read once for them.
    let last = latents.column_blocks - 1;
    for (var column = lane; column <= last; column += 4 * workgroup_size) {
      // Past the row's end the last vec4 is read again.
      let read = min(vec4u(column) + workgroup_size * vec4u(0, 1, 2, 3), vec4u(last));
      var sums = mat4x4f();
      for (var n = first; n < end; n++) {
        let entry = latent_entry_at(n);
        let factor = select(to_encoder(entry), entry.value, of_decoder);
        let row = values_of(entry.row, level);
        sums += factor * mat4x4f(
          scattered_row_at(row, latents.column_blocks, read.x),
          scattered_row_at(row, latents.column_blocks, read.y),
          scattered_row_at(row, latents.column_blocks, read.z),
          scattered_row_at(row, latents.column_blocks, read.w),
        );
      }
      // In a loop, which compiles sooner; see row_of() in gemm/gemm.wgsl.
      for (var own = column; own < min(column + 4 * workgroup_size, latents.column_blocks); own += workgroup_size) {
        let at = read == vec4u(own);
        let gradient = select(select(sums[3], sums[2], at.z), select(sums[1], sums[0], at.x), at.x || at.y);
        let weight = weights[start + own];
        take(start + own, weight, select(gradient, gradient - along * weight, unit_norm));
      }
    }
    end_latent(latent, lane);
    if (unit_norm && updates) {
      let squares = squares_of(start, lane);
      let scale = select(1, 1 / sqrt(squares), squares > 0);
      for (var column = lane; column < latents.column_blocks; column += workgroup_size) {
        weights[start + column] *= scale;
      }
    }
  }
}
