// For sparse/decode.wgsl: the reconstruction of the rows. Loss: as in layers/loss.wgsl.
// Provides start_of(), target_at(), loss_scale(), finish_row().
override centred: bool = false;  // the batch is already less the bias, which then cancels out

var<storage, read> bias: array<vec4f>;
var<storage, read> batch: array<vec4f>;
var<storage, read_write> shares: array<Share>;

fn start_of(column: u32) -> vec4f {
  return select(bias[column], vec4f(0), centred);
}

fn target_at(row: u32, column: u32) -> vec4f {
  return batch[row * decode.column_blocks + column];
}

fn loss_scale() -> f32 {
  return 2 / (f32(step.rows) * divisor);
}

fn finish_row(row: u32, squared_error: f32, count: u32) {
  shares[row] = Share(vec4f(0), squared_error, count);
}
