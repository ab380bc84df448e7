// What AuxK's squared errors are multiplied by. Where they are relative: 1 / the squared distances of the residuals from their mean, which are
// known from the residuals' sum over rows and the squared errors of the rows' reconstruction; 0 where there is nothing to divide by. Else the
// factor of the rows' own squared errors in the loss, times the share of dead latents that AuxK has room for. 0 where no latent is dead. One workgroup.
// Expects metrics/step.wgsl. Provides the entry point.
override workgroup_size: u32 = 64;
override relative: bool = true;
override auxk_k: f32;  // dead latents of a row in AuxK, at most

struct Scale {
  column_blocks: u32,  // vec4s of inputs
}

var<uniform> scale: Scale;
var<uniform> divisor: f32;  // as in sparse/decode.wgsl
var<uniform> update: Step;
var<storage, read> shares: array<Share>;
var<storage, read> error_sums: array<vec4f>;  // the sums over rows of the gradient of the reconstruction
var<storage, read> dead: array<vec4u>;
var<storage, read_write> auxk_scale: f32;

var<workgroup> sums: array<vec3f, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = vec3f(0);
  for (var row = thread; row < update.rows; row += workgroup_size) {
    sum.x += shares[row].squared_error;
  }
  for (var i = thread; i < scale.column_blocks; i += workgroup_size) {
    sum.y += dot(error_sums[i], error_sums[i]);
  }
  for (var i = thread; i < arrayLength(&dead); i += workgroup_size) {
    sum.z += dot(vec4f(dead[i] != vec4u(0)), vec4f(1));
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    var total = vec3f(0);
    for (var i = 0u; i < workgroup_size; i++) {
      total += sums[i];
    }
    let rows = f32(update.rows);
    // The gradient is the error times 2 / (rows * divisor).
    let error = 0.5 * rows * divisor;
    let distances = total.x - error * error * total.y / rows;
    if (relative) {
      auxk_scale = select(0, 1 / distances, total.z > 0 && distances > 0);
    } else {
      auxk_scale = min(total.z / auxk_k, 1) / (rows * divisor);
    }
  }
}
