import { padded } from '../../gpu/tensor.js';
import type { StepBuild } from './build.js';

/** Invocations per workgroup in `metrics/silent.wgsl`. */
const threads = 64;

/** Whether a step counts the rows since each latent was active: for what is done about dead ones. */
export function countsSilentRows({ config }: Pick<StepBuild, 'config'>): boolean {
  return config.revive !== 'none' || config.sparsity === 'jumprelu';
}

/** Makes the counts, if the step needs them. */
export function allocateSilentRows(build: StepBuild): void {
  if (countsSilentRows(build)) {
    const bytes = padded(build.model.hidden) * 4;
    build.makeKeptBuffer('silent_rows', 'The rows since each latent was active', bytes);
  }
}

/** Appends the counting of a batch whose code is a matrix. */
export function addSilentRows(build: StepBuild): void {
  if (countsSilentRows(build)) {
    const { program, model, rows, bindings } = build;
    const sizes = new Uint32Array([padded(rows) / 4, padded(model.hidden) / 4]);
    const groups = [Math.ceil(sizes[1] / threads), 1] as const;
    const files = ['metrics/step.wgsl', 'metrics/silent.wgsl'];
    program.add({ files }, { ...bindings, sizes }, groups);
  }
}
