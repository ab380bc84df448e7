import { NonFiniteLossError } from './errors.js';
import {
  type EpochMetrics,
  type LiveSettings,
  type Period,
  penaltyOf,
  type StepMetrics,
  summarize,
} from './metrics.js';
import type { StepLog } from './step-log.js';
import type { TrainStep } from './train-step.js';

/** The steps of one submit. */
export interface TrainedSteps {
  readonly steps: readonly StepMetrics[];
  /** Over about the last second. */
  readonly samples_per_second: number;
  /** Of the epoch that these steps ended, if they did. */
  readonly epoch?: EpochMetrics;
}

/** What was so when some steps were submitted. */
export interface During {
  readonly epoch: number;
  /** The penalty of the epoch's steps, up to these. */
  readonly periods: readonly Period[];
  readonly settings: LiveSettings;
}

/** Rows, and the time that they took. */
interface Pace {
  rows: number;
  milliseconds: number;
}

/** Turns what steps logged on the device into what is told of them, in their order, with the time that they took. */
export class TrainingLog {
  /** The loss that stopped training. */
  failure: NonFiniteLossError | undefined;
  #milliseconds: number;
  #lastEnd = 0;
  #lately: Pace = { rows: 0, milliseconds: 0 };
  #ofEpoch: Pace = { rows: 0, milliseconds: 0 };

  /** @param seconds that were spent on training before. */
  constructor(
    readonly step: TrainStep,
    seconds: number,
  ) {
    this.#milliseconds = seconds * 1000;
  }

  /** Spent on training, pauses left out. */
  get seconds(): number {
    return this.#milliseconds / 1000;
  }

  /** Training begins, or goes on after a pause. */
  begin(): void {
    this.#lastEnd = performance.now();
    this.#lately = { rows: 0, milliseconds: 0 };
  }

  /** Rows of that many steps: an epoch's last batch may be short. */
  rowsOf(steps: number): number {
    const { batches, batchRows, dataset } = this.step;
    const epochs = Math.floor(steps / batches);
    return epochs * dataset.rows + (steps - epochs * batches) * batchRows;
  }

  /** A submit has ended. @throws NonFiniteLossError. */
  add(log: StepLog, during: During): TrainedSteps {
    const { batches, dataset, model } = this.step;
    const steps = this.#stepsOf(log, during);
    this.#spend(this.rowsOf(log.end) - this.rowsOf(log.first));
    const told = { steps, samples_per_second: perSecond(this.#lately) };
    if (log.end < batches) {
      return told;
    }
    // The ends of submits are told in bursts, which a short epoch does not even out.
    const samples_per_second = perSecond(this.#ofEpoch.milliseconds < 1000 ? this.#lately : this.#ofEpoch);
    this.#ofEpoch = { rows: 0, milliseconds: 0 };
    const { epoch, periods } = during;
    const metrics = summarize(log, periods, dataset.rows, model.hidden);
    return { ...told, epoch: { epoch, ...metrics, samples_per_second, seconds: this.seconds } };
  }

  #stepsOf(log: StepLog, { epoch, settings }: During): StepMetrics[] {
    const { batches, model } = this.step;
    const { lr, sparsity_lambda, sparsity_target } = settings;
    const steps: StepMetrics[] = [];
    for (let i = log.first; i < log.end; i++) {
      if (!log.finite(i)) {
        this.failure ??= new NonFiniteLossError(epoch, i + 1);
        throw this.failure;
      }
      const mse = log.mse(i);
      const kl = log.kl(i);
      steps.push({
        step: (epoch - 1) * batches + i + 1,
        epoch,
        loss: mse + penaltyOf(kl, model.hidden, settings),
        mse,
        kl,
        active: log.active(i) / (this.rowsOf(i + 1) - this.rowsOf(i)),
        lr,
        sparsity_lambda,
        sparsity_target,
      });
    }
    return steps;
  }

  #spend(rows: number): void {
    const now = performance.now();
    const milliseconds = now - this.#lastEnd;
    this.#lastEnd = now;
    this.#milliseconds += milliseconds;
    this.#ofEpoch.rows += rows;
    this.#ofEpoch.milliseconds += milliseconds;
    // A single submit is too short to tell: those before it fade within a second or so.
    const faded = Math.exp(-milliseconds / 1000);
    this.#lately.rows = this.#lately.rows * faded + rows;
    this.#lately.milliseconds = this.#lately.milliseconds * faded + milliseconds;
  }
}

function perSecond({ rows, milliseconds }: Pace): number {
  return (rows / milliseconds) * 1000;
}
