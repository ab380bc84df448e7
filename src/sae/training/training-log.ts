import { liveSettings, type TrainConfig } from '../config.js';
import { DataError, NonFiniteLossError } from '../errors.js';
import type { SparsityName } from '../sparsity/index.js';
import type { StepFigures, StepLog } from '../step/step-log.js';
import type { TrainStep } from '../step/train-step.js';
import {
  addSteps,
  type EpochMetrics,
  explainedVariance,
  lossOf,
  namedTerms,
  noSums,
  type PassSums,
  type StepMetrics,
  summarize,
} from './metrics.js';
import { type Run, scheduledSettings, settingsAt } from './schedule.js';

/** The steps of one submit. */
export interface TrainedSteps<S extends SparsityName = 'kl'> {
  readonly steps: readonly StepMetrics<S>[];
  /** Over about the last second. */
  readonly samples_per_second: number;
  /** The metrics of the epoch that these steps ended, or within which they ended the run, if they did. */
  readonly epoch?: EpochMetrics<S>;
}

/** Settings in force when steps were submitted. */
export interface During<S extends SparsityName> {
  readonly epoch: number;
  /** Steps done before them, over all epochs. */
  readonly done: number;
  readonly config: TrainConfig<S>;
  /** Of the rows that were read until then. */
  readonly variance: number;
}

/** Rows, and the time that they took. */
interface Pace {
  rows: number;
  milliseconds: number;
}

/** Converts the device's log of steps into metrics, in the steps' order, with the time that they took. */
export class TrainingLog<S extends SparsityName> {
  /** What stopped training, if anything. */
  failure: NonFiniteLossError | undefined;
  /** The sums of the current epoch. */
  #sums: PassSums;
  /** Steps reported, over all epochs. */
  #told: number;
  readonly #waiting: { done: number; tell(sums: PassSums): void; fail(error: Error): void }[] = [];
  #milliseconds: number;
  #lastEnd = 0;
  #lately: Pace = { rows: 0, milliseconds: 0 };
  #ofEpoch: Pace = { rows: 0, milliseconds: 0 };

  readonly #run: Run;

  /**
   * @param runSteps steps of the run.
   * @param from the seconds spent, steps done and sums of the epoch with which the training goes on.
   * @throws DataError if the sums are not those of so many steps.
   */
  constructor(
    readonly step: TrainStep,
    runSteps: number,
    from: { readonly seconds: number; readonly done: number; readonly sums: PassSums },
  ) {
    if (from.sums.steps !== from.done % step.batches) {
      throw new DataError(
        `The snapshot was taken after ${from.done} steps, and its sums are not those of the ones in its epoch. Resume it unchanged.`,
      );
    }
    this.#run = { steps: runSteps, sizes: step.model.config };
    this.#milliseconds = from.seconds * 1000;
    this.#told = from.done;
    this.#sums = from.sums;
  }

  /** Seconds spent on training, without pauses. */
  get seconds(): number {
    return this.#milliseconds / 1000;
  }

  /** Called when training begins, or goes on after a pause. */
  begin(): void {
    this.#lastEnd = performance.now();
    this.#lately = { rows: 0, milliseconds: 0 };
  }

  /** The epoch's sums after `done` steps, which must be all steps that were submitted. */
  sumsAt(done: number): Promise<PassSums> {
    if (this.failure) {
      return Promise.reject(this.failure);
    }
    if (this.#told >= done) {
      return Promise.resolve(this.#sums);
    }
    return new Promise((tell, fail) => this.#waiting.push({ done, tell, fail }));
  }

  /** Adds the log of a submit that has ended. Steps before a fault are reported, and `failure` is set. */
  add({ steps: all, rowsActive, overflow }: StepLog, during: During<S>): TrainedSteps<S> {
    const { epoch, config, done, variance } = during;
    if (this.failure) {
      // This submit was in flight when a step failed: its steps changed nothing, or do not count.
      return { steps: [], samples_per_second: perSecond(this.#lately) };
    }
    const wrong = all.findIndex(({ fault }) => fault !== undefined);
    const good = wrong < 0 ? all : all.slice(0, wrong);
    const settings = good.map((_, i) => settingsAt(config, done + i, this.#run));
    const losses = good.map((figures, i) => lossOf(figures, settings[i], this.step.model));
    this.#sums = addSteps(this.#sums, good, losses);
    this.#spend(good.reduce((sum, { rows }) => sum + rows, 0));
    const told = {
      steps: good.map((figures, i) => {
        const at = { epoch, config: settings[i], variance };
        return stepMetrics({ ...figures, loss: losses[i] }, done + i + 1, at);
      }),
      samples_per_second: perSecond(this.#lately),
    };
    const before = (epoch - 1) * this.step.batches;
    if (wrong >= 0) {
      this.#fail(new NonFiniteLossError(epoch, done + wrong + 1 - before, all[wrong].fault));
      return told;
    }
    const sums = this.#sums;
    const now = done + all.length;
    // At the end of a run the epoch may not have ended, and training may go on with it.
    if (now % this.step.batches === 0) {
      this.#sums = noSums;
    }
    this.#tell(now);
    if (overflow !== undefined) {
      this.#fail(new NonFiniteLossError(epoch, now - before, { momentsOf: overflow }));
    }
    if (!rowsActive) {
      return told;
    }
    // The ends of submits are reported in bursts, which a short epoch does not average out.
    const samples_per_second = perSecond(this.#ofEpoch.milliseconds < 1000 ? this.#lately : this.#ofEpoch);
    this.#ofEpoch = { rows: 0, milliseconds: 0 };
    const metrics = {
      epoch,
      ...summarize(config.sparsity, sums, rowsActive, variance),
      samples_per_second,
      seconds: this.seconds,
      ...scheduledSettings(config, now - 1, this.#run),
    };
    return { ...told, epoch: metrics as unknown as EpochMetrics<S> };
  }

  #tell(done: number): void {
    this.#told = done;
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.done <= done) {
        waiting.tell(this.#sums);
      } else {
        this.#waiting.push(waiting);
      }
    }
  }

  /** Rejects all who wait for sums: there will be no more submits. */
  close(reason: Error): void {
    for (const { fail } of this.#waiting.splice(0)) {
      fail(reason);
    }
  }

  #fail(failure: NonFiniteLossError): void {
    this.failure ??= failure;
    this.close(failure);
  }

  #spend(rows: number): void {
    const now = performance.now();
    const milliseconds = now - this.#lastEnd;
    this.#lastEnd = now;
    this.#milliseconds += milliseconds;
    this.#ofEpoch.rows += rows;
    this.#ofEpoch.milliseconds += milliseconds;
    // A single submit is too short to measure: earlier ones count too, with weights that decay within about a second.
    const faded = Math.exp(-milliseconds / 1000);
    this.#lately.rows = this.#lately.rows * faded + rows;
    this.#lately.milliseconds = this.#lately.milliseconds * faded + milliseconds;
  }
}

/** @param step counts from 1. @param config with the settings of that step. */
function stepMetrics<S extends SparsityName>(
  { loss, mse, terms, active, rows }: StepFigures & { readonly loss: number },
  step: number,
  { epoch, config, variance }: Omit<During<S>, 'done'>,
): StepMetrics<S> {
  const live = Object.fromEntries(
    liveSettings.filter((name) => name in config).map((name) => [name, config[name as 'lr']]),
  );
  const figures = {
    step,
    epoch,
    loss,
    mse,
    explained_variance: explainedVariance(mse, variance),
    ...namedTerms(config.sparsity, terms),
    active: active / rows,
    ...live,
  };
  return figures as unknown as StepMetrics<S>;
}

function perSecond({ rows, milliseconds }: Pace): number {
  return (rows / milliseconds) * 1000;
}
