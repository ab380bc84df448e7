// Moves on to the next step's record. Expects step.wgsl.
@group(0) @binding(0) var<storage, read_write> state: State;
@group(0) @binding(1) var<storage, read> steps: array<Step>;
@group(0) @binding(2) var<storage, read_write> step: Step;

@compute @workgroup_size(1)
fn main() {
  step = steps[state.next];
  state.next += 1;
}
