import { padded } from '../../gpu/tensor.js';
import type { TrainConfig } from '../config.js';
import type { SparsityName } from '../sparsity/index.js';
import type { StepBuild } from './build.js';

/** Invocations per workgroup in `metrics/silent.wgsl`. */
const threads = 64;

/** Within these, rows after which a latent counts as dead where `dead_after` does not say it. */
const leastDeadAfter = 10_000;
const mostDeadAfter = 10_000_000;

/**
 * Rows after which a latent that was active in none of them counts as dead: by default those of an epoch, or a tenth of the run if that
 * is less, but at least 10,000, by which something rare may well be seen, and at most the 10 million that OpenAI's trainer and
 * dictionary_learning wait.
 * @param rows of an epoch.
 */
export function deadAfter(
  { dead_after, steps, epochs, batch_size }: TrainConfig<SparsityName>,
  rows: number,
): number {
  const ofRun = steps === undefined ? epochs * rows : steps * batch_size;
  const some = Math.ceil(Math.min(rows, ofRun / 10));
  return dead_after ?? Math.min(mostDeadAfter, Math.max(leastDeadAfter, some));
}

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
