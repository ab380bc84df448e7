import type { Gpu } from '../gpu/gpu.js';
import { type HostTime, Pacer } from '../gpu/pacer.js';
import { type ModelConfig, parseTrainConfig, type TrainConfig, type TrainOptions } from './config.js';
import type { Dataset } from './dataset.js';
import { ConfigError, DataError, NonFiniteLossError } from './errors.js';
import { type EpochMetrics, type LiveSettings, liveSettings, type Period } from './metrics.js';
import { Model, type Parameters } from './model.js';
import { RowOrders, type RowOrdersState } from './row-orders.js';
import { stepRecords } from './schedule.js';
import { type StepState, TrainStep } from './train-step.js';
import { type TrainedSteps, TrainingLog } from './training-log.js';

/** How far training is. */
export interface Progress {
  /** Rows done since training began, of epochs times the data set's rows. */
  readonly rows: number;
  readonly samples_per_second: number;
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
  readonly #log: TrainingLog;
  #running = false;

  private constructor(
    config: TrainConfig,
    readonly step: TrainStep,
    from?: Snapshot,
  ) {
    this.#config = config;
    this.#orders = new RowOrders(step.dataset.rows, config, from?.orders);
    this.#log = new TrainingLog(step, from?.seconds ?? 0);
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
      const trainer = new Trainer(training, step, snapshot);
      trainer.#epoch = Math.ceil(done / step.batches);
      trainer.#periods = snapshot.periods;
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
      seconds: this.#log.seconds,
    };
    const [parameters, state] = await Promise.all([model.parameters(), step.state()]);
    if (state.halted) {
      throw this.#log.failure ?? new NonFiniteLossError(this.#epoch, step.done);
    }
    return { ...host, parameters, step: state };
  }

  /** The configuration, with what has been changed since. */
  get config(): TrainConfig {
    return this.#config;
  }

  /** What the host has done with its time while it trained. */
  get hostTime(): HostTime {
    return this.#pacer.hostTime;
  }

  /** Steps that have been submitted since training began. */
  get done(): number {
    return (this.#epoch - 1) * this.step.batches + this.step.done;
  }

  /** Steps of so many epochs. */
  stepsOf(epochs: number): number {
    return epochs * this.step.batches;
  }

  /** Rows that so many steps take: an epoch's last batch may be short. */
  rowsOf(steps: number): number {
    return this.#log.rowsOf(steps);
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
    if (this.#log.failure) {
      throw this.#log.failure;
    }
    this.#running = true;
    this.#log.begin();
    const { step } = this;
    let left = count;
    const submit = (most: number) => {
      if (left <= 0 || signal?.aborted || this.#log.failure) {
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
      return { times, ended: ended.then((log) => this.#log.add(log, during)) };
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
    while (this.done < this.stepsOf(this.#config.epochs) && !signal?.aborted) {
      const began = performance.now();
      const before = this.rowsOf(this.done);
      let metrics: EpochMetrics | undefined;
      for await (const { steps, epoch } of this.steps({ count: this.leftInEpoch, signal })) {
        const rows = this.rowsOf(steps[steps.length - 1].step);
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
}
