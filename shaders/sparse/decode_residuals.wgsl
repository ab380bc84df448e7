// For sparse/decode.wgsl: AuxK, the reconstruction of what the rows' own one lacks, by dead latents. The residual is a constant, and is
// read back from the gradient of the rows' reconstruction.
// coefficients.x: AuxK's weight. Provides start_of(), target_at(), loss_scale(), finish_row().
override added_bias: bool = false;  // whether the reconstruction has the output's bias

var<storage, read> auxk_scale: f32;
var<storage, read> bias: array<vec4f>;
var<storage, read_write> auxk_shares: array<f32>;

fn start_of(column: u32) -> vec4f {
  return select(vec4f(0), bias[column], added_bias);
}

// Those of the last level, if there are several, lie just before the gradients made here.
fn target_at(row: u32, column: u32) -> vec4f {
  let of_rows = decode.first_gradient - decode.list_rows + row;
  return -0.5 * f32(step.rows) * divisor * gradients[of_rows * decode.column_blocks + column];
}

fn loss_scale() -> f32 {
  return 2 * step.coefficients.x * auxk_scale;
}

fn finish_row(row: u32, squared_error: f32, count: u32) {
  auxk_shares[row] = squared_error;
}
