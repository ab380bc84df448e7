import { parseTrainConfig, type TrainConfig, type TrainOptions } from './config.js';
import type { Dataset } from './dataset.js';
import { NonFiniteLossError } from './errors.js';
import type { EpochMetrics, Metrics } from './metrics.js';
import type { Model } from './model.js';
import { type Random, randomPair, shuffle } from './random.js';
import { batchesOf, type StepSettings, stepRecords } from './schedule.js';
import { type StepLog, TrainStep } from './train-step.js';

/** What an epoch will do, computed on the host ahead of it. */
interface EpochPlan {
  readonly order: Uint32Array<ArrayBuffer>;
  readonly records: ArrayBuffer;
}

/** How far training is. */
export interface Progress {
  /** Rows done since training began, of epochs times the data set's rows. */
  readonly rows: number;
  readonly samples_per_second: number;
}

/** Trains a model on a data set. Everything is on the device before the first step, and every kernel is compiled. */
export class Trainer {
  readonly #order: Uint32Array<ArrayBuffer>;
  readonly #random: Random;
  #epoch = 0;

  private constructor(
    readonly config: TrainConfig,
    readonly step: TrainStep,
  ) {
    this.#order = inOrder(step.dataset.rows);
    this.#random = randomPair(config.seed).forOrder;
  }

  /** @throws ConfigError, DataError, LimitError (before anything is allocated), OutOfMemoryError. */
  static async create(model: Model, dataset: Dataset, options: TrainOptions = {}): Promise<Trainer> {
    const config = parseTrainConfig(options);
    return new Trainer(config, await TrainStep.create(model, dataset, config.batch_size, true));
  }

  /**
   * Trains epoch after epoch and gives each one's metrics; between two of them the model can be used and read.
   * @param signal ends it after the submits in flight; an epoch that was cut short gives no metrics.
   * @param progress is told how far training is, whenever the device has finished a submit.
   * @throws NonFiniteLossError: the model keeps the weights from before that step. DeviceLostError.
   */
  async *epochs({
    signal,
    progress,
  }: {
    signal?: AbortSignal | undefined;
    progress?: ((progress: Progress) => void) | undefined;
  } = {}): AsyncGenerator<EpochMetrics, void, void> {
    const { config, step } = this;
    const { rows } = step.dataset;
    const began = performance.now();
    let plan = this.#plan();
    while (this.#epoch < config.epochs && !signal?.aborted) {
      const epochBegan = performance.now();
      const done = this.#epoch * rows;
      const running = step.run(plan.order, plan.records, signal, (steps) => {
        const rowsOfEpoch = Math.min(rows, steps * step.batchRows);
        const seconds = (performance.now() - epochBegan) / 1000;
        progress?.({ rows: done + rowsOfEpoch, samples_per_second: rowsOfEpoch / seconds });
      });
      // The device is busy with this epoch meanwhile.
      this.#epoch += 1;
      const epoch = this.#epoch;
      if (epoch < config.epochs) {
        plan = this.#plan();
      }
      const log = await running;
      for (let i = 0; i < log.steps; i++) {
        if (!log.finite(i)) {
          throw new NonFiniteLossError(epoch, i + 1);
        }
      }
      if (log.steps < batchesOf(rows, step.batchRows)) {
        return;
      }
      const now = performance.now();
      yield {
        epoch,
        ...summarize(log, step, config),
        samples_per_second: (rows / (now - epochBegan)) * 1000,
        seconds: (now - began) / 1000,
      };
    }
  }

  /** Frees what training needs on the device; the model stays. */
  close(): void {
    this.step.destroy();
  }

  #plan(): EpochPlan {
    const { config, step } = this;
    const { rows } = step.dataset;
    if (config.shuffle) {
      shuffle(this.#order, this.#random);
    }
    const settings = { ...config, batch_size: step.batchRows };
    const updates = this.#epoch * batchesOf(rows, step.batchRows);
    return { order: this.#order.slice(), records: stepRecords(rows, updates, settings) };
  }
}

/**
 * The same figures for rows that a model was not trained on, batch by batch as in training.
 * @throws ConfigError, DataError, LimitError, OutOfMemoryError.
 */
export async function evaluate(model: Model, dataset: Dataset, options: TrainOptions = {}): Promise<Metrics> {
  const config = parseTrainConfig(options);
  const step = await TrainStep.create(model, dataset, config.batch_size, false);
  try {
    const { rows } = dataset;
    const records = stepRecords(rows, 0, { ...config, batch_size: step.batchRows });
    return summarize(await step.run(inOrder(rows), records), step, config);
  } finally {
    step.destroy();
  }
}

/** Means over batches, as the original's; `active` is a mean over rows. Summed in double. */
function summarize(log: StepLog, step: TrainStep, settings: StepSettings): Metrics {
  const { sparsity_lambda, sparsity_target } = settings;
  const mean = (value: (step: number) => number) => {
    let sum = 0;
    for (let i = 0; i < log.steps; i++) {
      sum += value(i);
    }
    return sum / log.steps;
  };
  const mse = mean(log.mse);
  const kl = mean(log.kl);
  // The original's penalty is the divergence plus this constant, which has no gradient.
  const target = sparsity_target + 1e-8;
  const entropy = -target * Math.log(target) - (1 - target) * Math.log(1 - target);
  return {
    loss: mse + sparsity_lambda * (kl + step.model.hidden * entropy),
    mse,
    kl,
    active: (mean(log.active) * log.steps) / step.dataset.rows,
    dead: log.dead,
  };
}

function inOrder(rows: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, row) => row);
}
