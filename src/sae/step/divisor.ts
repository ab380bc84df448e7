import { padded } from '../../gpu/tensor.js';
import type { BatchInput } from '../rows/window.js';
import type { StepBuild } from './build.js';

/** Makes the number that a row's squared errors are divided by in the loss, an f32 which kernels read as `divisor`. */
export function allocateDivisor(build: StepBuild): void {
  const { model, config } = build;
  build.makeBuffer('divisor', "What a row's squared errors are divided by", 4, GPUBufferUsage.UNIFORM);
  if (config.reconstruction === 'fvu') {
    const blocks = padded(model.config.in_dims) / 4;
    build.makeBuffer('variance_shares', "Shares of a batch's variance", blocks * 4);
  }
}

/**
 * Says what it is: 1, for the mean the number of a row's values, or else, in kernels that are appended, the mean squared distance of
 * the batch's rows from their mean.
 * @param input of the batch; what is subtracted from each row alike makes no difference.
 */
export function addDivisor(build: StepBuild, input: BatchInput): void {
  const { program, model, config, bindings } = build;
  const { in_dims } = model.config;
  if (config.reconstruction !== 'fvu') {
    const divisor = config.reconstruction === 'sum' ? 1 : in_dims;
    model.gpu.write(build.buffer('divisor'), new Float32Array([divisor]));
    return;
  }
  const columnBlocks = padded(in_dims) / 4;
  const variance = new Uint32Array([columnBlocks]);
  const files = ['metrics/step.wgsl', ...input.files, 'metrics/variance.wgsl'];
  const own = { ...bindings, ...input.bindings, variance };
  program.add({ files }, own, [model.gpu.groups(columnBlocks), 1]);
  program.add({ files: ['metrics/step.wgsl', 'metrics/divisor.wgsl'] }, bindings, [1, 1]);
}
