// What the invocations of a workgroup make of their values together, in workgroup memory.
// Provides workgroup_size, add_lanes(), max_lanes(), before_lanes(), sum_lanes().
override workgroup_size: u32 = 64;

var<workgroup> total_x: atomic<u32>;
var<workgroup> total_y: atomic<u32>;
var<workgroup> total_z: atomic<u32>;
var<workgroup> total: vec3u;
var<workgroup> lane_counts: array<vec2u, workgroup_size>;
var<workgroup> lane_sums: array<vec4f, workgroup_size>;

fn begin_total(lane: u32) {
  if (lane == 0) {
    atomicStore(&total_x, 0);
    atomicStore(&total_y, 0);
    atomicStore(&total_z, 0);
  }
  workgroupBarrier();
}

fn end_total(lane: u32) -> vec3u {
  workgroupBarrier();
  if (lane == 0) {
    total = vec3u(atomicLoad(&total_x), atomicLoad(&total_y), atomicLoad(&total_z));
  }
  return workgroupUniformLoad(&total);
}

// The sum over all invocations.
fn add_lanes(value: vec3u, lane: u32) -> vec3u {
  begin_total(lane);
  atomicAdd(&total_x, value.x);
  atomicAdd(&total_y, value.y);
  atomicAdd(&total_z, value.z);
  return end_total(lane);
}

// The largest of all invocations, of either component.
fn max_lanes(value: vec2u, lane: u32) -> vec2u {
  begin_total(lane);
  atomicMax(&total_x, value.x);
  atomicMax(&total_y, value.y);
  return end_total(lane).xy;
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
