// Over the rows of a batch: each hidden unit's mean activation, and for how many rows it was active.
// One invocation a vec4 of units. Expects step.wgsl, active_above.
override workgroup_size: u32 = 64;

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> hidden: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> means: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> active_rows: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> ever_active: array<vec4u>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column_blocks = arrayLength(&means);
  if (id.x >= column_blocks) {
    return;
  }
  var sum = vec4f(0);
  var count = vec4u(0);
  for (var row = 0u; row < step.rows; row++) {
    let value = hidden[row * column_blocks + id.x];
    sum += value;
    count += select(vec4u(0), vec4u(1), value > vec4f(active_above));
  }
  means[id.x] = sum / f32(step.rows);
  active_rows[id.x] = count;
  ever_active[id.x] |= count;
}
