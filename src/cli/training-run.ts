import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeFileError } from '../node/data/files.js';
import {
  Animation,
  ConfigError,
  DataError,
  DensityHistory,
  EngineError,
  type EpochMetrics,
  type ImageShape,
  type Model,
  mostFrames,
  NonFiniteLossError,
  type Placement,
  type Rows,
  type RunRecord,
  type SparsityName,
  type TrainConfig,
  Trainer,
  writeRunFile,
} from '../node/index.js';
import { writeWhole } from '../node/write-file.js';
import type { MetricsLogs } from './metrics-logs.js';
import { count, metricsLine, type Reporter } from './reporter.js';
import { Watch } from './watch.js';

/** Where a run reports and writes, and what can end it. */
export interface Run {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly files_dir: string;
  readonly init: string | undefined;
  readonly placement: Placement;
  readonly logs: MetricsLogs;
  readonly animate: Animate | undefined;
  /** Whether it is drawn as curves, where there is a terminal. */
  readonly watch: boolean;
  /** Rows by which densities are measured as the model is trained, if a report is to tell them. */
  readonly measured_on: Rows | undefined;
}

/** An animation of the latents' directions: a picture every so many steps. */
export interface Animate {
  readonly every: number;
  readonly file: string;
  readonly image_shape: ImageShape;
}

/** The outcome of a run. */
export interface Trained {
  /** Steps done. */
  readonly steps: number;
  readonly history: readonly EpochMetrics<SparsityName>[];
  readonly failure: NonFiniteLossError | DataError | undefined;
  /** Why metrics.jsonl or run.json could not be written. */
  readonly unrecorded: EngineError | undefined;
  /** What is in run.json, after the first epoch. */
  readonly record: RunRecord | undefined;
  /** Latents' densities by epoch, if they were measured. */
  readonly densities: DensityHistory['history'];
  /** What there is to be written of an animation. */
  readonly animation: Animation | undefined;
}

const deadAdvice =
  'All latents are dead: none was active for any row in this epoch, so none can learn any more and every row gets the same ' +
  'reconstruction. Use a smaller lr or a smaller sparsity_lambda.';

/**
 * Trains all epochs, with a line per epoch, a progress bar and a record in metrics.jsonl. The file of an earlier run
 * stays until the first epoch is done.
 * @returns the steps and epochs that were finished, and the failure, if a loss that was not finite or rows that could not be read ended
 *   training.
 */
export async function runEpochs(
  model: Model,
  dataset: Rows,
  config: TrainConfig<SparsityName>,
  { reporter, signal, files_dir, init, placement, logs, animate, watch, measured_on }: Run,
): Promise<Trained> {
  const file = join(files_dir, 'metrics.jsonl');
  const trainer = await Trainer.create<SparsityName>(model, dataset, config, placement);
  const allSteps = trainer.runSteps;
  const epochs = Math.ceil(allSteps / trainer.step.batches);
  const [animation, densities] = await Promise.all([
    animate && animationOf(animate, allSteps),
    measured_on && DensityHistory.create(model, measured_on, epochs, config.seed),
  ]).catch((error) => {
    trainer.close();
    throw error;
  });
  const label = (epoch: number) => `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}`;
  const history: EpochMetrics<SparsityName>[] = [];
  let done = 0;
  let unrecorded: EngineError | undefined;
  let run: RunRecord | undefined;
  const trained = (failure?: Trained['failure']): Trained => {
    return {
      steps: done,
      history,
      failure,
      unrecorded,
      record: run,
      densities: densities?.history,
      animation,
    };
  };
  const { sparsity } = config;
  try {
    const watched = { steps: allSteps, latents: model.hidden, sparsity, label: label(1) };
    const curves = watch && reporter.draws ? await Watch.open(watched) : undefined;
    if (curves) reporter.startView(curves);
    else reporter.startBar(allSteps, label(1));
    let first = true;
    let silent = false;
    for await (const { steps, samples_per_second, epoch } of stepsOf(trainer, signal, animate, animation)) {
      if (first) {
        // Since this process began: what a user waits for, with compilation.
        const seconds = performance.now() / 1000;
        reporter.line(`first step  ${seconds.toFixed(2)} s after the start`);
        reporter.json({ first_step_seconds: seconds });
        first = false;
      }
      logs.write((log) => log.steps(steps));
      curves?.add(steps, epoch);
      if (epoch) {
        logs.write((log) => log.epoch(epoch, steps[steps.length - 1].step));
        history.push(epoch);
        try {
          if (history.length === 1) {
            run = await writeRunFile(join(files_dir, 'run.json'), trainer, init, process.argv.slice(2));
          }
          await record(file, history, unrecorded !== undefined);
          unrecorded = undefined;
        } catch (error) {
          // The training matters more than its record.
          if (!unrecorded) reporter.warn(`${(error as Error).message} Training goes on.`);
          unrecorded = error as EngineError;
        }
        await densities?.add(epoch.epoch);
        reporter.json(epoch);
        reporter.line(metricsLine(label(epoch.epoch), epoch, sparsity));
        if (epoch.dead === model.hidden && model.config.activation === 'relu' && !silent) {
          silent = true;
          reporter.warn(deadAdvice);
        }
      }
      done = steps[steps.length - 1].step;
      reporter.updateBar(done, label(history.length + 1), `${count(samples_per_second)} samples/s`);
    }
    return trained();
  } catch (error) {
    // Rows that cannot be read any more do not cost what was learned from others.
    if (error instanceof NonFiniteLossError || (error instanceof DataError && done > 0)) {
      return trained(error);
    }
    throw error;
  } finally {
    reporter.stopBar();
    densities?.close();
    trainer.close();
  }
}

/** @throws ConfigError if it would have too many pictures; EngineError. */
async function animationOf({ every, file, image_shape }: Animate, steps: number): Promise<Animation> {
  const frames = 1 + Math.ceil(steps / every);
  if (frames > mostFrames) {
    const least = Math.ceil(steps / (mostFrames - 1));
    throw new ConfigError(
      `animate is ${every}, which makes ${count(frames)} pictures of ${count(steps)} steps; expected at most ${count(mostFrames)}: --animate ${least} or more.`,
    );
  }
  return Animation.create(file, image_shape, steps);
}

/** All steps of a training, with pictures between them. */
async function* stepsOf(
  trainer: Trainer<SparsityName>,
  signal: AbortSignal,
  animate: Animate | undefined,
  animation: Animation | undefined,
) {
  const all = trainer.runSteps;
  const { model } = trainer.step;
  await animation?.add(model, 0);
  const every = animate?.every ?? all;
  for (let done = 0; done < all && !signal.aborted; done += every) {
    const some = Math.min(every, all - done);
    yield* trainer.steps({ count: some, signal });
    if (!signal.aborted) await animation?.add(model, done + some);
  }
}

/**
 * Appends the last epoch to metrics.jsonl, or overwrites it with all if this is the first or the file may be cut short.
 * @throws EngineError if it cannot be written.
 */
async function record(
  file: string,
  history: readonly EpochMetrics<SparsityName>[],
  broken: boolean,
): Promise<void> {
  const failure = (why: string, cause: unknown) =>
    new EngineError(`${file} cannot be written: ${why}.`, { cause });
  const lines = (epochs: typeof history) => epochs.map((epoch) => `${JSON.stringify(epoch)}\n`).join('');
  if (history.length === 1 || broken) {
    await writeWhole(file, [Buffer.from(lines(history))], failure);
    return;
  }
  try {
    appendFileSync(file, lines(history.slice(-1)));
  } catch (error) {
    throw failure(describeFileError(error), error);
  }
}

/** Whether this program wrote a metrics.jsonl that begins so. */
export function isOurRecord(content: Uint8Array): boolean {
  try {
    const first = JSON.parse(new TextDecoder().decode(content).split('\n')[0]);
    return 'epoch' in first && 'loss' in first;
  } catch {
    return false;
  }
}
