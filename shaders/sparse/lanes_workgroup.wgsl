// What the invocations of a workgroup make of their values together, in workgroup memory.
// Provides workgroup_size, add_lanes(), before_lanes(), sum_lanes().
override workgroup_size: u32 = 64;

var<workgroup> total_x: atomic<u32>;
var<workgroup> total_y: atomic<u32>;
var<workgroup> total_z: atomic<u32>;
var<workgroup> lane_counts: array<vec2u, workgroup_size>;
var<workgroup> lane_sums: array<vec4f, workgroup_size>;

// The sum over all invocations.
fn add_lanes(value: vec3u, lane: u32) -> vec3u {
  if (lane == 0) {
    atomicStore(&total_x, 0);
    atomicStore(&total_y, 0);
    atomicStore(&total_z, 0);
  }
  workgroupBarrier();
  atomicAdd(&total_x, value.x);
  atomicAdd(&total_y, value.y);
  atomicAdd(&total_z, value.z);
  workgroupBarrier();
  let total = vec3u(atomicLoad(&total_x), atomicLoad(&total_y), atomicLoad(&total_z));
  workgroupBarrier();
  return total;
}

// The sum over the invocations before this one.
fn before_lanes(value: vec2u, lane: u32) -> vec2u {
  lane_counts[lane] = value;
  workgroupBarrier();
  var sum = vec2u(0);
  for (var i = 0u; i < lane; i++) {
    sum += lane_counts[i];
  }
  workgroupBarrier();
  return sum;
}

// As add_lanes, always in the same order.
fn sum_lanes(value: vec4f, lane: u32) -> vec4f {
  lane_sums[lane] = value;
  workgroupBarrier();
  var sum = vec4f(0);
  for (var i = 0u; i < workgroup_size; i++) {
    sum += lane_sums[i];
  }
  workgroupBarrier();
  return sum;
}
