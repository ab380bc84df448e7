// Declares `step` for kernels that read no input. Expects step.wgsl. Provides step.
@group(0) @binding(4) var<uniform> step: Step;
