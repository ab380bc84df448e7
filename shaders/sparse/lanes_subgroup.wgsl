// What the invocations of a workgroup make of their values together, where the workgroup is one subgroup. Compilers do not know that what
// add_lanes() and max_lanes() return is the same for all, unless it comes from workgroup memory.
// Goes before all other files. Provides workgroup_size, add_lanes(), max_lanes(), before_lanes(), sum_lanes().
enable subgroups;

const workgroup_size = 8u;

var<workgroup> total: vec3u;

// The sum over all invocations.
fn add_lanes(value: vec3u, lane: u32) -> vec3u {
  let sum = subgroupAdd(value);
  if (lane == 0) {
    total = sum;
  }
  return workgroupUniformLoad(&total);
}

// The largest of all invocations, of either component.
fn max_lanes(value: vec2u, lane: u32) -> vec2u {
  let most = subgroupMax(value);
  if (lane == 0) {
    total = vec3u(most, 0);
  }
  return workgroupUniformLoad(&total).xy;
}

// The sum over the invocations before this one.
fn before_lanes(value: vec2u, lane: u32) -> vec2u {
  return subgroupExclusiveAdd(value);
}

// As add_lanes, always in the same order.
fn sum_lanes(value: vec4f, lane: u32) -> vec4f {
  return subgroupAdd(value);
}
