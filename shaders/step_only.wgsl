// Declares `step` for kernels that read no input.
@group(0) @binding(4) var<uniform> step: Step;
