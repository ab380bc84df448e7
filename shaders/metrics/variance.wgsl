// The squared distances of a batch's rows from their mean, a share for each vec4 of columns. A workgroup takes one.
// Expects metrics/step.wgsl, input_at(). Provides the entry point.
override workgroup_size: u32 = 64;

struct Variance {
  column_blocks: u32,  // vec4s a row
}

var<uniform> variance: Variance;
var<storage, read_write> variance_shares: array<f32>;

var<workgroup> sums: array<vec4f, workgroup_size>;
var<workgroup> squares: array<vec4f, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var block = group.x; block < variance.column_blocks; block += groups.x) {
    // From the first row, which is nearer to the mean than 0 may be: the two sums then cancel less.
    let origin = input_at(0, block);
    var sum = vec4f(0);
    var square = vec4f(0);
    for (var row = thread; row < step.rows; row += workgroup_size) {
      let distance = input_at(row, block) - origin;
      sum += distance;
      square += distance * distance;
    }
    sums[thread] = sum;
    squares[thread] = square;
    workgroupBarrier();
    if (thread == 0) {
      sum = vec4f(0);
      square = vec4f(0);
      for (var i = 0u; i < workgroup_size; i++) {
        sum += sums[i];
        square += squares[i];
      }
      variance_shares[block] = dot(square - sum * sum / f32(step.rows), vec4f(1));
    }
    workgroupBarrier();
  }
}
