import { appendFileSync, closeSync, constants, existsSync, openSync } from 'node:fs';
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
  mostFrames,
  NonFiniteLossError,
  type Rows,
  type RunRecord,
  runRecord,
  type SparsityName,
  type Trainer,
  writeRunRecord,
} from '../node/index.js';
import { writeWhole } from '../node/write-file.js';
import { type AdapterCheck, stepsToCheck } from './checked.js';
import type { MetricsLogs } from './metrics-logs.js';
import { count, metricsLine, type Reporter } from './reporter.js';
import type { RunSoFar, RunState } from './run-state.js';
import type { Setbacks } from './setbacks.js';
import type { Snapshots } from './snapshots.js';
import { startWatch } from './watch.js';

/** Where a run reports and writes, what can end it, and what it was before. */
export interface Run {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly files_dir: string;
  readonly init: string | undefined;
  /** The options that were given, by name. */
  readonly options: RunState['options'];
  readonly logs: MetricsLogs;
  readonly animate: Animate | undefined;
  /** Whether it is drawn as curves, where there is a terminal. */
  readonly watch: boolean;
  /** The check of the adapter, if there is one to make. */
  readonly check: () => Promise<AdapterCheck | undefined>;
  /** Rows by which densities are measured as the model is trained, if a report is to tell them. */
  readonly measured_on: Rows | undefined;
  /** What saves it, if anything does. */
  readonly snapshots: Snapshots | undefined;
  /** What was given up of it, and how far it has come. */
  readonly setbacks: Setbacks;
  /** What there was besides the training when the snapshot was taken from which it goes on. */
  readonly from: RunSoFar | undefined;
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

const deadAdvice = (when: string) =>
  `All latents are dead: none was active for any row in ${when}, so none can learn any more and every row gets the same ` +
  'reconstruction. Use a smaller lr or a smaller sparsity_lambda.';
/** Steps without an active latent after which that is said before the epoch ends. */
const deadSteps = 256;

/**
 * Trains to the end of the run, with a line per epoch, a progress bar and a record in metrics.jsonl. The file of an earlier
 * run stays until the first epoch is done.
 * @param trainer is closed at the end.
 * @returns the steps and epochs that were finished, and the failure, if a loss that was not finite or rows that could not be read ended
 *   training.
 */
export async function runEpochs(trainer: Trainer<SparsityName>, run: Run): Promise<Trained> {
  const { reporter, signal, files_dir, init, logs, animate, watch, measured_on, check, from } = run;
  const { snapshots, setbacks } = run;
  const file = join(files_dir, 'metrics.jsonl');
  const { model, runSteps: allSteps, config } = trainer;
  const epochs = Math.ceil(allSteps / trainer.step.batches);
  const begun = trainer.done;
  const [adapterCheck, animation, densities] = await Promise.all([
    check(),
    animate && animationOf(animate, allSteps, from?.frames),
    measured_on && DensityHistory.create(model, measured_on, epochs, config.seed, from?.densities),
  ]).catch((error) => {
    trainer.close();
    throw error;
  });
  const label = (epoch: number) => `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}`;
  const history = [...(from?.history ?? [])];
  let done = begun;
  let unrecorded: EngineError | undefined;
  let recorded = false;
  const runFile = join(files_dir, 'run.json');
  /** The folder may be removed meanwhile. */
  const areThere = () => existsSync(file) && existsSync(runFile);
  const here = { date: new Date().toISOString(), step: begun, adapter: model.gpu.name, lr: config.lr };
  const { givenUp } = setbacks;
  const goesOn = {
    ...(from && { resumed: [...(from.record?.resumed ?? []), here] }),
    ...(givenUp.length > 0 && { given_up: givenUp }),
  };
  let record = from?.record && { ...from.record, ...goesOn };
  const trained = (failure?: Trained['failure']): Trained => {
    return { steps: done, history, failure, unrecorded, record, densities: densities?.history, animation };
  };
  const writeRecords = async () => {
    try {
      record ??= { ...runRecord(trainer, init, process.argv.slice(2)), ...goesOn };
      recorded &&= areThere();
      if (!recorded) await writeRunRecord(runFile, record);
      // Epochs that were given up stay in the file until there is another one.
      if (history.length > 0) {
        await writeEpochs(file, history, !recorded);
        recorded = true;
      }
      unrecorded = undefined;
    } catch (error) {
      // The training matters more than its record.
      recorded = false;
      if (!unrecorded) reporter.warn(`${(error as Error).message} Training goes on.`);
      unrecorded = error as EngineError;
    }
  };
  const stateAt = (steps: number, ended: number): RunState => {
    const measured = densities?.history;
    const kept = measured?.epochs.filter((epoch) => epoch <= ended);
    const { gpu } = model;
    return {
      options: run.options,
      history: history.filter(({ epoch }) => epoch <= ended),
      record,
      densities: kept?.length
        ? { epochs: kept, densities: measured!.densities.slice(0, kept.length * model.hidden) }
        : undefined,
      frames: animation?.frames.filter(({ step }) => step <= steps) ?? [],
      unwritten: logs.unwritten,
      adapter: { name: gpu.name, driver: gpu.adapter.info.description },
      tiles: gpu.tuner.tiles,
    };
  };
  const { sparsity } = config;
  try {
    const watched = { steps: allSteps, latents: model.hidden, sparsity, label: label(1) };
    const curves = await startWatch(reporter, watch, watched);
    snapshots?.begin(trainer, stateAt);
    if (from) {
      logs.rewind(begun, history.length, from.unwritten ?? []);
      if (history.length > 0 || givenUp.length > 0) await writeRecords();
    }
    let first = true;
    let silentSteps = 0;
    let advised = false;
    const advise = (sentence: string) => {
      if (!advised) reporter.warn(sentence);
      advised = true;
    };
    const all = stepsOf(trainer, signal, adapterCheck, animate, animation);
    for await (const { steps, samples_per_second, epoch } of all) {
      if (first) {
        // Since this process began: what a user waits for, with compilation.
        const seconds = performance.now() / 1000;
        reporter.line(`first step  ${seconds.toFixed(2)} s after the start`);
        reporter.json({ first_step_seconds: seconds });
        first = false;
      }
      logs.write((log) => log.steps(steps));
      curves?.add(steps, epoch);
      done = steps[steps.length - 1].step;
      const lastActive = steps.findLastIndex(({ active }) => active > 0);
      silentSteps = lastActive < 0 ? silentSteps + steps.length : steps.length - 1 - lastActive;
      if (silentSteps >= deadSteps) advise(deadAdvice(`the last ${deadSteps} steps`));
      if (epoch) {
        logs.write((log) => log.epoch(epoch, done));
        history.push(epoch);
        await writeRecords();
        await densities?.add(epoch.epoch);
        reporter.json(epoch);
        reporter.line(metricsLine(label(epoch.epoch), epoch, sparsity));
        if (epoch.dead === model.hidden && model.config.activation === 'relu')
          advise(deadAdvice('this epoch'));
        if (history.length === 1 && trainer.step.variance === 0) {
          reporter.warn(
            `All rows of ${trainer.step.source.name} are the same, so there is nothing in them to learn.`,
          );
        }
      }
      setbacks.reached = { steps: done, epochs: history.length };
      snapshots?.told(done);
      reporter.updateBar(done, label(history.length + 1), `${count(samples_per_second)} samples/s`);
    }
    if (snapshots && (snapshots.every.given || snapshots.saved !== undefined || done < allSteps)) {
      await snapshots.finish();
      if (snapshots.saved === trainer.done) {
        const place = `step ${count(trainer.done)} of ${count(allSteps)}`;
        reporter.line(`snapshot  ${snapshots.file} (${place}${done < allSteps ? '; --resume goes on' : ''})`);
        reporter.json({ snapshot: snapshots.file, step: trainer.done });
      }
    }
    if (recorded) {
      recorded = areThere();
      if (!recorded) await writeRecords();
    }
    return trained();
  } catch (error) {
    // Rows that cannot be read any more do not cost what was learned from others.
    if (error instanceof NonFiniteLossError || (error instanceof DataError && done > begun)) {
      return trained(error);
    }
    throw error;
  } finally {
    reporter.stopBar();
    await snapshots?.settle();
    densities?.close();
    trainer.close();
  }
}

/** @throws ConfigError if it would have too many pictures; EngineError. */
async function animationOf(
  { every, file, image_shape }: Animate,
  steps: number,
  before: RunState['frames'] | undefined,
): Promise<Animation> {
  const frames = 1 + Math.ceil(steps / every);
  if (frames > mostFrames) {
    const least = Math.ceil(steps / (mostFrames - 1));
    throw new ConfigError(
      `animate is ${every}, which makes ${count(frames)} pictures of ${count(steps)} steps; expected at most ${count(mostFrames)}: --animate ${least} or more.`,
    );
  }
  return Animation.create(file, image_shape, steps, before);
}

/** All steps of a training, with the check of the adapter and pictures between them. */
async function* stepsOf(
  trainer: Trainer<SparsityName>,
  signal: AbortSignal,
  check: AdapterCheck | undefined,
  animate: Animate | undefined,
  animation: Animation | undefined,
) {
  const all = trainer.runSteps;
  const { model } = trainer.step;
  const every = animate?.every ?? all;
  if (trainer.done % every === 0) await animation?.add(model, trainer.done);
  // It ends before the next picture.
  const most = animate ? every - (trainer.done % every) - 1 : all - trainer.done;
  if (check) yield* stepsToCheck(trainer, most, signal, check);
  while (trainer.done < all && !signal.aborted) {
    const some = Math.min(every - (trainer.done % every), all - trainer.done);
    yield* trainer.steps({ count: some, signal });
    if (!signal.aborted) await animation?.add(model, trainer.done);
  }
}

/**
 * Appends the last epoch to metrics.jsonl, or overwrites it with all, if the file is of an earlier run or may be cut short.
 * @throws EngineError if it cannot be written.
 */
async function writeEpochs(
  file: string,
  history: readonly EpochMetrics<SparsityName>[],
  all: boolean,
): Promise<void> {
  const failure = (why: string, cause: unknown) =>
    new EngineError(`${file} cannot be written: ${why}.`, { cause });
  const lines = (epochs: typeof history) => epochs.map((epoch) => `${JSON.stringify(epoch)}\n`).join('');
  if (all) {
    await writeWhole(file, [Buffer.from(lines(history))], failure);
    return;
  }
  try {
    // A file that is gone is not begun with its last line.
    const opened = openSync(file, constants.O_WRONLY | constants.O_APPEND);
    try {
      appendFileSync(opened, lines(history.slice(-1)));
    } finally {
      closeSync(opened);
    }
  } catch (error) {
    throw failure(describeFileError(error), error);
  }
}
