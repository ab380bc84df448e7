// What the invocations of a workgroup make of their values together, where the workgroup is one subgroup.
// Expects gemm/enable_subgroups.wgsl. Provides workgroup_size, add_lanes(), before_lanes(), sum_lanes().
const workgroup_size = 8u;

// The sum over all invocations.
fn add_lanes(value: vec3u, lane: u32) -> vec3u {
  return subgroupAdd(value);
}

// The sum over the invocations before this one.
fn before_lanes(value: vec2u, lane: u32) -> vec2u {
  return subgroupExclusiveAdd(value);
}

// As add_lanes, always in the same order.
fn sum_lanes(value: vec4f, lane: u32) -> vec4f {
  return subgroupAdd(value);
}
