// Reconstruction loss: mean over rows and inputs of (reconstruction - input)^2, and its gradient.
// Each invocation walks over the matrix in strides and leaves its sum of squares in `partial_sums`: no atomics, so the order
// of sums is always the same. Rows past the batch's end have gradient 0, which keeps them out of everything before.
// Expects step.wgsl.
override workgroup_size: u32 = 64;

struct Matrix {
  row_count: u32,
  column_blocks: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> matrix: Matrix;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> inputs: array<vec4f>;
@group(0) @binding(3) var<storage, read> reconstructions: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> partial_sums: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let scale = 2 / (f32(step.rows) * f32(matrix.columns));
  let blocks = step.rows * matrix.column_blocks;
  var sum = 0.0;
  for (var i = id.x; i < matrix.row_count * matrix.column_blocks; i += groups.x * workgroup_size) {
    var difference = vec4f(0);
    if (i < blocks) {
      difference = reconstructions[i] - inputs[i];
    }
    sum += dot(difference, difference);
    gradients[i] = scale * difference;
  }
  partial_sums[id.x] = sum;
}
