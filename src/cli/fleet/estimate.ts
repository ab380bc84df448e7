import type { StoredTrial } from '../../node/fleet/records.js';
import {
  batchesOf,
  classes,
  type Gpu,
  Model,
  type OpenOptions,
  openGpu,
  type Rows,
  runLength,
  type SparsityName,
  Trainer,
  trialBytes,
} from '../../node/index.js';
import { count, type Reporter } from '../reporter.js';
import type { SweepPlan } from './plan-sweep.js';

/** Kinds of trials that are timed, at most, and milliseconds of steps of each. */
const mostTimed = 8;
const timed = 500;

/** Says how many trials there are, and what they take: seconds by steps that are timed, and memory by their sizes. */
export async function estimate(
  plan: SweepPlan,
  opening: OpenOptions,
  processes: number,
  reporter: Reporter,
): Promise<void> {
  const trials = [...plan.trials.values()];
  const largest = Math.max(
    ...plan.groups.map((group) => group.reduce((sum, id) => sum + trialBytes(plan.trials.get(id)!), 0)),
  );
  const gpu = await openGpu(opening);
  let seconds: number;
  try {
    seconds = await secondsOf(trials, plan.loaded.train, gpu);
  } finally {
    gpu.close();
  }
  const each = seconds / processes;
  reporter.json({
    trials: trials.length,
    groups: plan.groups.length,
    seconds: each,
    bytes: largest,
    adapter: gpu.name,
  });
  reporter.line(
    `trials    ${count(trials.length)}, in ${count(plan.groups.length)} groups that train side by side`,
  );
  reporter.line(
    `time      about ${duration(each)} of steps on ${gpu.name}${processes > 1 ? ` with ${processes} processes` : ''}, by ${Math.min(mostTimed, shapesOf(trials).length)} kinds of trials that were timed`,
  );
  reporter.line(`memory    about ${size(largest)} on the device for the largest group, besides the rows`);
}

function shapesOf(trials: readonly StoredTrial[]): StoredTrial[][] {
  return classes(trials, ({ model, training: { sparsity, batch_size, ...others } }) => [
    model,
    sparsity,
    batch_size,
    'k' in others ? others.k : 0,
  ]);
}

/** A training step's work, by which those are estimated that are not timed. */
function costOf({ model: { in_dims, h_dims }, training: { batch_size } }: StoredTrial): number {
  return (batch_size + 64) * h_dims.reduce((sum, width, i) => sum + width * [in_dims, ...h_dims][i], 0);
}

async function secondsOf(trials: readonly StoredTrial[], rows: Rows, gpu: Gpu): Promise<number> {
  const shapes = shapesOf(trials).sort(([a], [b]) => costOf(a) - costOf(b));
  const step = Math.max(1, (shapes.length - 1) / (mostTimed - 1));
  const measured: { cost: number; seconds: number }[] = [];
  for (let at = 0; Math.round(at) < shapes.length; at += step) {
    const [trial] = shapes[Math.round(at)];
    measured.push({ cost: costOf(trial), seconds: await secondsOfStep(trial, rows, gpu) });
  }
  return shapes.reduce((sum, shape) => {
    const cost = costOf(shape[0]);
    const near = measured.reduce((a, b) =>
      Math.abs(Math.log(b.cost / cost)) < Math.abs(Math.log(a.cost / cost)) ? b : a,
    );
    const steps = shape.reduce((all, trial) => all + stepsOf(trial), 0);
    return sum + (steps * near.seconds * cost) / near.cost;
  }, 0);
}

/** Steps of a trial, without those that windows add. */
export function stepsOf({ rows, training }: StoredTrial): number {
  return runLength(training, batchesOf(rows.rows, training.batch_size));
}

async function secondsOfStep(
  { model: sizes, training, rows: { window_rows } }: StoredTrial,
  rows: Rows,
  gpu: Gpu,
) {
  const model = await Model.create<SparsityName>(gpu, sizes, training, rows);
  try {
    const trainer = await Trainer.create<SparsityName>(
      model,
      rows,
      training,
      window_rows ? { window_rows } : {},
    );
    try {
      const enough = new AbortController();
      let began: number | undefined;
      let last = 0;
      let steps = 0;
      for await (const told of trainer.steps({ signal: enough.signal })) {
        const now = performance.now();
        // The first submit may have waited for what is compiled late.
        if (began === undefined) began = now;
        else steps += told.steps.length;
        last = now;
        if (now - began > timed) enough.abort();
      }
      return (last - began!) / 1000 / Math.max(1, steps);
    } finally {
      trainer.close();
    }
  } finally {
    model.close();
  }
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function size(bytes: number): string {
  return bytes < 1e9 ? `${count(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
