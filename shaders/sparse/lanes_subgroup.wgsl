// What the invocations of a workgroup make of their values together, where the workgroup is one subgroup.
// What add_lanes() and max_lanes() return is the same for all, which compilers need not know of it here.
// Expects gemm/enable_subgroups.wgsl. Provides workgroup_size, add_lanes(), max_lanes(), before_lanes(), sum_lanes().
diagnostic(off, subgroup_uniformity);

const workgroup_size = 8u;

// The sum over all invocations.
fn add_lanes(value: vec3u, lane: u32) -> vec3u {
  return subgroupAdd(value);
}

// The largest of all invocations, of either component.
fn max_lanes(value: vec2u, lane: u32) -> vec2u {
  return subgroupMax(value);
}

// The sum over the invocations before this one.
fn before_lanes(value: vec2u, lane: u32) -> vec2u {
  return subgroupExclusiveAdd(value);
}

// As add_lanes, always in the same order.
fn sum_lanes(value: vec4f, lane: u32) -> vec4f {
  return subgroupAdd(value);
}
