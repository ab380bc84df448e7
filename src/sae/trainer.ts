import type { Gpu } from '../gpu/gpu.js';
import { Pacer } from '../gpu/pacer.js';
import { type ModelConfig, parseTrainConfig, type TrainConfig, type TrainOptions } from './config.js';
import type { Dataset } from './dataset.js';
import { ConfigError, DataError, NonFiniteLossError } from './errors.js';
import {
  type EpochMetrics,
  type LiveSettings,
  liveSettings,
  type Period,
  penaltyOf,
  type StepMetrics,
  summarize,
} from './metrics.js';
import { Model, type Parameters } from './model.js';
import { RowOrders, type RowOrdersState } from './row-orders.js';
import { stepRecords } from './schedule.js';
import { type StepLog, type StepState, TrainStep } from './train-step.js';

/** How far training is. */
export interface Progress {
  /** Rows done since training began, of epochs times the data set's rows. */
  readonly rows: number;
  readonly samples_per_second: number;
}

/** The steps of one submit. */
export interface TrainedSteps {
  readonly steps: readonly StepMetrics[];
  /** Over about the last second. */
  readonly samples_per_second: number;
  /** Of the epoch that these steps ended, if they did. */
  readonly epoch?: EpochMetrics;
}

/** A copy on the host of all that training needs to go on, bit for bit on an adapter of the same kind. */
export interface Snapshot {
  readonly model: ModelConfig;
  readonly parameters: Parameters;
  readonly training: TrainConfig;
  /** Steps done. */
  readonly done: number;
  readonly orders: RowOrdersState;
  /** The penalty of the epoch's steps. */
  readonly periods: readonly Period[];
  /** Spent on training. */
  readonly seconds: number;
  readonly step: StepState;
}

/** Trains a model on a data set. Everything is on the device before the first step, and every kernel is compiled. */
export class Trainer {
  readonly #pacer = new Pacer();
  readonly #orders: RowOrders;
  #config: TrainConfig;
  /** The epoch that the next step is in, or that the last one has ended; 0 before the first. */
  #epoch = 0;
  /** The penalty of this epoch's steps. */
  #periods: readonly Period[] = [];
  #milliseconds = 0;
  /** What `samples_per_second` of the epoch is computed from. */
  #thisEpoch = { rows: 0, milliseconds: 0 };
  #running = false;
  #failure: NonFiniteLossError | undefined;

  private constructor(
    config: TrainConfig,
    readonly step: TrainStep,
    from?: RowOrdersState,
  ) {
    this.#config = config;
    this.#orders = new RowOrders(step.dataset.rows, config, from);
  }

  /** @throws ConfigError, DataError, LimitError (before anything is allocated), OutOfMemoryError. */
  static async create(model: Model, dataset: Dataset, options: TrainOptions = {}): Promise<Trainer> {
    const config = parseTrainConfig(options);
    return new Trainer(config, await TrainStep.create(model, dataset, config.batch_size, true));
  }

  /**
   * Goes on from a snapshot, also on another device, with a model of its own: the caller closes both.
   * @param dataset what the snapshot was trained on.
   * @throws DataError where it has other sizes; LimitError, OutOfMemoryError.
   */
  static async resume(gpu: Gpu, dataset: Dataset, snapshot: Snapshot): Promise<Trainer> {
    const { training, done, orders } = snapshot;
    if (dataset.rows !== orders.order.length) {
      throw new DataError(
        `${dataset.name} has ${dataset.rows} rows, and the training to go on with had ${orders.order.length}. Use its own rows.`,
      );
    }
    const model = await Model.from(gpu, snapshot.model, snapshot.parameters);
    try {
      const step = await TrainStep.create(model, dataset, training.batch_size, true);
      const trainer = new Trainer(training, step, orders);
      trainer.#epoch = Math.ceil(done / step.batches);
      trainer.#periods = snapshot.periods;
      trainer.#milliseconds = snapshot.seconds * 1000;
      if (done > 0) {
        step.begin(orders.order);
        step.restore(snapshot.step, done - (trainer.#epoch - 1) * step.batches);
        trainer.#schedule();
      }
      return trainer;
    } catch (error) {
      model.close();
      throw error;
    }
  }

  get model(): Model {
    return this.step.model;
  }

  /**
   * Copies the training as it is between two submits, also while `steps` is at work, which goes on meanwhile.
   * @throws NonFiniteLossError where training has stopped at one; DeviceLostError.
   */
  async snapshot(): Promise<Snapshot> {
    const { step, model, done } = this;
    // All of the host's part and all copies on the device belong to this moment: nothing is waited for in between.
    const host = {
      model: model.config,
      training: this.#config,
      done,
      orders: this.#orders.state,
      periods: this.#periods,
      seconds: this.#milliseconds / 1000,
    };
    const [parameters, state] = await Promise.all([model.parameters(), step.state()]);
    if (state.halted) {
      throw this.#failure ?? new NonFiniteLossError(this.#epoch, step.done);
    }
    return { ...host, parameters, step: state };
  }

  /** The configuration, with what has been changed since. */
  get config(): TrainConfig {
    return this.#config;
  }

  /** Steps that have been submitted since training began. */
  get done(): number {
    return (this.#epoch - 1) * this.step.batches + this.step.done;
  }

  /** Steps that the epoch at hand still has; those of a whole one where one has just ended. */
  get leftInEpoch(): number {
    return this.step.batches - this.step.done || this.step.batches;
  }

  /**
   * Takes effect with the next submit, also while `steps` or `epochs` is at work. What is left out stays as it is.
   * @throws ConfigError, and then nothing is changed.
   */
  change(settings: Partial<LiveSettings>): void {
    const given = Object.entries(settings).filter(([, value]) => value !== undefined);
    const fixed = given.find(([name]) => !liveSettings.includes(name as keyof LiveSettings));
    if (fixed) {
      throw new ConfigError(
        `${fixed[0]} cannot be changed while a model is trained, only ${liveSettings.join(', ')} can. Begin anew for it.`,
      );
    }
    this.#config = parseTrainConfig({ ...this.#config, ...Object.fromEntries(given) });
    this.#schedule();
  }

  /**
   * Trains on from wherever training is, past the ends of epochs, and gives what each submit's steps gave when it has
   * ended. Others are in flight then, so the model may already be further. `config.epochs` does not end it.
   * @param count steps after which it ends; without end where it is not given.
   * @param signal ends it after the submits in flight, which are still given; another call goes on from there.
   * @param submitMilliseconds of work that a submit should hold: the less, the sooner a signal or a change counts.
   * @throws NonFiniteLossError, now and whenever it is called again: the model keeps the weights from before that
   *   step. DeviceLostError.
   */
  async *steps({
    count = Number.POSITIVE_INFINITY,
    signal,
    submitMilliseconds,
  }: {
    count?: number | undefined;
    signal?: AbortSignal | undefined;
    submitMilliseconds?: number | undefined;
  } = {}): AsyncGenerator<TrainedSteps, void, void> {
    if (this.#running) {
      throw new Error('the trainer is at work: wait until its last call has ended');
    }
    if (this.#failure) {
      throw this.#failure;
    }
    this.#running = true;
    const { step } = this;
    const clock = { lastEnd: performance.now(), rows: 0, milliseconds: 0 };
    let left = count;
    const submit = (most: number) => {
      if (left <= 0 || signal?.aborted || this.#failure) {
        return undefined;
      }
      if (step.done === step.batches) {
        this.#beginEpoch();
      }
      const during = { epoch: this.#epoch, periods: this.#periods, settings: this.#config };
      const { times, ended } = step.submit(Math.min(most, left));
      left -= times;
      if (step.done === step.batches) {
        this.#orders.prepare();
      }
      return { times, ended: ended.then((log) => this.#account(log, during, clock)) };
    };
    try {
      yield* this.#pacer.run(submit, submitMilliseconds);
    } finally {
      this.#running = false;
    }
  }

  /**
   * Trains epoch after epoch and gives each one's metrics; between two of them the model can be used and read.
   * @param signal ends it after the submits in flight; an epoch that was cut short gives no metrics, and another call
   *   goes on with it.
   * @param progress is told how far training is, whenever the device has finished a submit.
   * @throws as `steps`.
   */
  async *epochs({
    signal,
    progress,
  }: {
    signal?: AbortSignal | undefined;
    progress?: ((progress: Progress) => void) | undefined;
  } = {}): AsyncGenerator<EpochMetrics, void, void> {
    const { batches } = this.step;
    while (this.done < this.#config.epochs * batches && !signal?.aborted) {
      const began = performance.now();
      const before = this.#rowsDone(this.done);
      let metrics: EpochMetrics | undefined;
      for await (const { steps, epoch } of this.steps({ count: this.leftInEpoch, signal })) {
        const rows = this.#rowsDone(steps[steps.length - 1].step);
        const seconds = (performance.now() - began) / 1000;
        progress?.({ rows, samples_per_second: (rows - before) / seconds });
        metrics = epoch;
      }
      if (metrics) {
        yield metrics;
      }
    }
  }

  /** Frees what training needs on the device; the model stays. */
  close(): void {
    this.step.destroy();
  }

  #beginEpoch(): void {
    this.#epoch += 1;
    this.#periods = [];
    this.step.begin(this.#orders.next());
    this.#schedule();
  }

  /** Has the epoch's steps that are not submitted yet done with the settings of now. */
  #schedule(): void {
    const { step } = this;
    if (step.done === step.batches) {
      return;
    }
    const settings = { ...this.#config, batch_size: step.batchRows };
    const updates = (this.#epoch - 1) * step.batches;
    step.schedule(stepRecords(step.dataset.rows, updates, settings, step.done));
    const { sparsity_lambda, sparsity_target } = this.#config;
    const earlier = this.#periods.filter(({ from }) => from < step.done);
    const last = earlier.at(-1);
    const same = last?.sparsity_lambda === sparsity_lambda && last.sparsity_target === sparsity_target;
    this.#periods = same ? earlier : [...earlier, { from: step.done, sparsity_lambda, sparsity_target }];
  }

  /** Rows of that many steps: an epoch's last batch may be short. */
  #rowsDone(steps: number): number {
    const { batches, batchRows, dataset } = this.step;
    const epochs = Math.floor(steps / batches);
    return epochs * dataset.rows + (steps - epochs * batches) * batchRows;
  }

  /** What a submit's steps gave. @throws NonFiniteLossError. */
  #account(log: StepLog, { epoch, periods, settings }: During, clock: Clock): TrainedSteps {
    const { batches, dataset, model } = this.step;
    const { lr, sparsity_lambda, sparsity_target } = settings;
    const before = (epoch - 1) * batches;
    const steps: StepMetrics[] = [];
    for (let i = log.first; i < log.end; i++) {
      if (!log.finite(i)) {
        this.#failure ??= new NonFiniteLossError(epoch, i + 1);
        throw this.#failure;
      }
      const mse = log.mse(i);
      const kl = log.kl(i);
      steps.push({
        step: before + i + 1,
        epoch,
        loss: mse + penaltyOf(kl, model.hidden, settings),
        mse,
        kl,
        active: log.active(i) / (this.#rowsDone(i + 1) - this.#rowsDone(i)),
        lr,
        sparsity_lambda,
        sparsity_target,
      });
    }

    const rows = this.#rowsDone(log.end) - this.#rowsDone(log.first);
    const now = performance.now();
    const milliseconds = now - clock.lastEnd;
    clock.lastEnd = now;
    // Submits of the last second or so: a single one is too short to tell.
    const faded = Math.exp(-milliseconds / 1000);
    clock.rows = clock.rows * faded + rows;
    clock.milliseconds = clock.milliseconds * faded + milliseconds;
    this.#milliseconds += milliseconds;
    this.#thisEpoch.rows += rows;
    this.#thisEpoch.milliseconds += milliseconds;
    const told = { steps, samples_per_second: (clock.rows / clock.milliseconds) * 1000 };
    if (log.end < batches) {
      return told;
    }
    const whole = this.#thisEpoch;
    this.#thisEpoch = { rows: 0, milliseconds: 0 };
    return {
      ...told,
      epoch: {
        epoch,
        ...summarize(log, periods, dataset.rows, model.hidden),
        samples_per_second: (whole.rows / whole.milliseconds) * 1000,
        seconds: this.#milliseconds / 1000,
      },
    };
  }
}

/** What was so when some steps were submitted. */
interface During {
  readonly epoch: number;
  readonly periods: readonly Period[];
  readonly settings: LiveSettings;
}

/** When the last submit ended, and the rows of the last submits with the time that they took. */
interface Clock {
  lastEnd: number;
  rows: number;
  milliseconds: number;
}
