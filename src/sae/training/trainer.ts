import { ClosedError, EngineError } from '../../gpu/errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import { type HostTime, Pacer, type Submitted } from '../../gpu/pacer.js';
import { Scope } from '../../gpu/scope.js';
import {
  checkObject,
  type LiveSettings,
  liveSettings,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
} from '../config.js';
import { ConfigError, DataError, NonFiniteLossError } from '../errors.js';
import { Model } from '../model/model.js';
import { type Rows, rowSource } from '../rows/source.js';
import type { Windows } from '../rows/window.js';
import type { SparsityName } from '../sparsity/index.js';
import { batchesOf } from '../step/records.js';
import { TrainStep } from '../step/train-step.js';
import { Course } from './course.js';
import { type EpochMetrics, noSums } from './metrics.js';
import { type Placement, windowRows } from './placement.js';
import { newWeights, Resampler, seedAt, writeWeights } from './resampler.js';
import { checkSchedules, runLength } from './schedule.js';
import { checkSnapshot, type Snapshot } from './snapshot.js';
import { type TrainedSteps, TrainingLog } from './training-log.js';

/** How far training is. */
export interface Progress {
  /** Rows done since training began, of all rows of the run. */
  readonly rows: number;
  readonly samples_per_second: number;
}

/** Steps between two resamplings of dead latents, unless the configuration says otherwise. */
const resampleEvery = 1000;

/** A call of `steps`. */
interface Call {
  readonly submits: AsyncGenerator<unknown, void, void>;
  /** Whether its caller waits for the next value. */
  asked: boolean;
}

/** Trains a model on rows. All kernels are compiled, and rows that fit loaded, before the first step. */
export class Trainer<S extends SparsityName = 'kl'> {
  /** Steps of the whole run: those of `config.steps` or else of `config.epochs`. */
  readonly runSteps: number;
  readonly #pacer = new Pacer();
  readonly #course: Course;
  #config: TrainConfig<S>;
  readonly #log: TrainingLog<S>;
  readonly #resampler: Resampler | undefined;
  #call: Call | undefined;
  #closed = false;

  private constructor(
    config: TrainConfig<S>,
    readonly step: TrainStep,
    from?: Snapshot<S>,
  ) {
    this.#config = config;
    this.runSteps = runLength(config, step.batches);
    this.#course = new Course(step, config, this.runSteps, from);
    const { revive, resample_every = resampleEvery } = config;
    this.#resampler =
      revive === 'resample' ? new Resampler(step, resample_every, this.runSteps, from?.done ?? 0) : undefined;
    this.#log = new TrainingLog(step, this.runSteps, from ?? { seconds: 0, done: 0, sums: noSums });
  }

  /**
   * @param windows the rows on the device, if others share them, and take care of them.
   * @throws ConfigError, DataError, LimitError (before anything is allocated), OutOfMemoryError.
   */
  static async create<S extends SparsityName = 'kl'>(
    model: Model,
    rows: Rows,
    options: TrainOptions<S> = {} as TrainOptions<S>,
    placement: Placement = {},
    windows?: Windows,
  ): Promise<Trainer<S>> {
    const config = parseTrainConfig(options, model.config);
    const source = windows?.source ?? rowSource(rows);
    const batches = batchesOf(source.rows, config.batch_size);
    const length = runLength(config, batches);
    if (source.once && length > batches) {
      throw new ConfigError(
        `The rows of ${source.name} come once, so a run has at most the ${batches} steps of one epoch, and not ${length}. Set epochs ` +
          'to 1, or write the rows into a file.',
      );
    }
    checkSchedules(config, length);
    const window_rows = windowRows(placement, config.batch_size);
    return Scope.building(async (scope) => {
      const made = await TrainStep.create(model, source, config, { update: true, window_rows, windows });
      return new Trainer(config, scope.use(made));
    });
  }

  /**
   * Goes on from a snapshot, also on another device, with a new model: the caller closes both.
   * @param rows the rows that the snapshot was trained on.
   * @param windows as of `create`.
   * @throws DataError if they have other sizes, or the snapshot was changed; ConfigError, LimitError, OutOfMemoryError.
   */
  static async resume<S extends SparsityName = 'kl'>(
    gpu: Gpu,
    rows: Rows,
    snapshot: Snapshot<S>,
    windows?: Windows,
  ): Promise<Trainer<S>> {
    const source = windows?.source ?? rowSource(rows);
    checkSnapshot(snapshot);
    const { window_rows } = snapshot;
    const training = parseTrainConfig<S>(snapshot.training as TrainOptions<S>);
    if (source.rows !== snapshot.rows) {
      throw new DataError(
        `${source.name} has ${source.rows} rows, and the snapshot's training had ${snapshot.rows}. Use the same rows.`,
      );
    }
    return Scope.building(async (scope) => {
      const model = scope.use(await Model.from(gpu, snapshot.model, snapshot.parameters));
      const made = await TrainStep.create(model, source, training, { update: true, window_rows, windows });
      const step = scope.use(made);
      const trainer = new Trainer(training, step, snapshot);
      await trainer.#course.restore(snapshot, training);
      step.restore(snapshot.step);
      return trainer;
    });
  }

  /** The model that is trained. */
  get model(): Model {
    return this.step.model;
  }

  /**
   * Copies the state of the training between two submits. `steps` may be running, and goes on meanwhile.
   * @throws NonFiniteLossError if training has stopped for one; ClosedError; DeviceLostError.
   */
  async snapshot(): Promise<Snapshot<S>> {
    this.#checkOpen();
    const { step, model } = this;
    // The host's part and all copies on the device belong to one moment: nothing is awaited in between.
    const host = {
      model: model.config,
      training: this.#config,
      rows: step.source.rows,
      window_rows: step.windows.sizes.size,
      ...this.#course.place,
      seconds: this.#log.seconds,
    };
    const copies = [model.parameters(), step.state(), this.#log.sumsAt(host.done)] as const;
    const [parameters, state, sums] = await Promise.all(copies);
    if (state.halted) {
      throw await this.#explained(this.#log.failure ?? new NonFiniteLossError(this.#course.epoch, step.done));
    }
    return { ...host, parameters, step: state, sums };
  }

  /** The configuration, with later changes. */
  get config(): TrainConfig<S> {
    return this.#config;
  }

  /** How the host spent its time while it trained. */
  get hostTime(): HostTime {
    return this.#pacer.hostTime;
  }

  /** Steps that were submitted since training began. */
  get done(): number {
    return this.#course.done;
  }

  /** What has stopped training, if anything has. */
  get failure(): NonFiniteLossError | undefined {
    return this.#log.failure;
  }

  /** Steps of so many epochs. */
  stepsOf(epochs: number): number {
    return epochs * this.step.batches;
  }

  /** Rows of so many steps. A window's last batch may be short, and counts as whole until the epoch ends. */
  rowsOf(steps: number): number {
    const { batches, batchRows, source } = this.step;
    const epochs = Math.floor(steps / batches);
    return epochs * source.rows + (steps - epochs * batches) * batchRows;
  }

  /** Steps left in the current epoch; if one has just ended, those of the next. */
  get leftInEpoch(): number {
    return this.step.batches - this.step.done || this.step.batches;
  }

  /**
   * Changes settings from the next submit on, also while `steps` or `epochs` is running. Others stay as they are.
   * @throws ConfigError, and then nothing is changed; ClosedError.
   */
  change(settings: Partial<LiveSettings<S>>): void {
    this.#checkOpen();
    checkObject(settings, 'The settings to change are', '{ lr: 0.001 }');
    const given = Object.entries(settings).filter(([, value]) => value !== undefined);
    const fixed = given.find(([name]) => !liveSettings.includes(name));
    if (fixed) {
      const live = liveSettings.filter((name) => name in this.#config);
      throw new ConfigError(
        `${fixed[0]} cannot be changed while a model is trained, only ${live.join(', ')} can. Create another trainer for it.`,
      );
    }
    this.#config = parseTrainConfig<S>({ ...this.#config, ...Object.fromEntries(given) } as TrainOptions<S>);
    this.#course.schedule(this.#config);
  }

  /**
   * Gives latents, such as dead ones, new weights between two calls of `steps`, in the direction of rows that are reconstructed badly,
   * as `revive` `resample` does every so many steps.
   * @param latents their numbers from 0, each once. If there are fewer such rows, only the first of them.
   * @throws ConfigError if the model has several hidden layers; EngineError if training is going on; ClosedError.
   */
  async revive(latents: readonly number[]): Promise<void> {
    this.#checkOpen();
    const { h_dims } = this.model.config;
    if (h_dims.length > 1) {
      throw new ConfigError(
        `Latents of a model with one hidden layer can be revived, and this one has ${h_dims.length}.`,
      );
    }
    if (this.#call) {
      throw new EngineError(
        'The trainer is at work. End the call of steps with its signal, and revive latents then.',
      );
    }
    const changes = await newWeights(this.step, latents, seedAt(this.done, this.#config));
    this.#checkOpen();
    writeWeights(this.step, changes);
  }

  /**
   * Goes on with training, past the ends of epochs and of the run, and yields the metrics of each submit's steps when it
   * has ended. Later submits may be running then, so the model may be further. One call runs at a time.
   * If the caller of an earlier one does not wait for a value, a new call takes over from it when its submits have
   * ended, so that an abandoned call does not block training.
   * @throws NonFiniteLossError, again on later calls: the model keeps the weights from before that step. ClosedError if
   *   the trainer or its model is closed meanwhile; DeviceLostError; EngineError if another call is running.
   */
  async *steps({
    count = Number.POSITIVE_INFINITY,
    signal,
    submitMilliseconds,
  }: {
    /** Steps after which it ends; by default it does not end. */
    count?: number | undefined;
    /** Ends it after the submits in flight, which are still yielded; another call goes on from there. */
    signal?: AbortSignal | undefined;
    /** Of work per submit: with less, a signal or a change takes effect sooner. */
    submitMilliseconds?: number | undefined;
  } = {}): AsyncGenerator<TrainedSteps<S>, void, void> {
    const before = this.#call;
    if (before?.asked) {
      throw new EngineError(
        'The trainer is at work. Wait until the earlier call has ended, or end it with its signal.',
      );
    }
    let left = count;
    const submit = (most: number) => {
      this.#checkOpen();
      if (left <= 0 || signal?.aborted) {
        return undefined;
      }
      const submitted = this.submit(Math.min(most, left));
      if (submitted && 'times' in submitted) left -= submitted.times;
      return submitted;
    };
    const submits = this.#pacer.run(submit, submitMilliseconds);
    const call: Call = { submits, asked: true };
    this.#call = call;
    try {
      // After this its submits have ended, and their steps are in the log.
      await before?.submits.return();
      this.#checkOpen();
      if (this.#log.failure) {
        throw await this.#explained(this.#log.failure);
      }
      this.begin();
      for await (const told of submits) {
        if (told.steps.length > 0) {
          call.asked = false;
          yield told;
          if (this.#call !== call) {
            throw new EngineError('Another call has taken over from this one, which yields no more steps.');
          }
          call.asked = true;
        }
      }
      // All steps before the failure have been yielded by now.
      if (this.#log.failure) {
        throw await this.#explained(this.#log.failure);
      }
    } catch (error) {
      // If the trainer was closed, that explains any other error.
      this.#checkOpen();
      throw error;
    } finally {
      if (this.#call === call) {
        this.#call = undefined;
      }
    }
  }

  /**
   * Trains epoch by epoch to the end of the run and yields each one's metrics; between two epochs the model can be used
   * and read. If the run has `config.steps`, the last epoch may be cut short; its metrics are those of the rows seen.
   * @throws as `steps`.
   */
  async *epochs({
    signal,
    progress,
  }: {
    /** Ends it after the submits in flight; an unfinished epoch yields no metrics, and another call goes on with it. */
    signal?: AbortSignal | undefined;
    /** Is called whenever the device has finished a submit. */
    progress?: ((progress: Progress) => void) | undefined;
  } = {}): AsyncGenerator<EpochMetrics<S>, void, void> {
    while (this.done < this.runSteps && !signal?.aborted) {
      const began = performance.now();
      const before = this.rowsOf(this.done);
      let metrics: EpochMetrics<S> | undefined;
      try {
        const count = Math.min(this.leftInEpoch, this.runSteps - this.done);
        for await (const { steps, epoch } of this.steps({ count, signal })) {
          const rows = this.rowsOf(steps[steps.length - 1].step);
          const seconds = (performance.now() - began) / 1000;
          progress?.({ rows, samples_per_second: (rows - before) / seconds });
          metrics = epoch;
        }
      } finally {
        // A finished epoch is yielded even if its end shows that training cannot go on.
        if (metrics) {
          yield metrics;
        }
      }
    }
  }

  /** Frees what training has on the device, and ends `steps` and `epochs` with a ClosedError. The model stays open. */
  close(): void {
    this.#closed = true;
    this.step.destroy();
    this.#log.close(closed());
  }

  /** The failure with the largest parameter, which tells what grew. */
  async #explained(failure: NonFiniteLossError): Promise<NonFiniteLossError> {
    if (failure.largest) return failure;
    let largest = { tensor: '', value: 0 };
    for (const [tensor, { data }] of await this.model.parameters()) {
      for (const value of data) if (Math.abs(value) > Math.abs(largest.value)) largest = { tensor, value };
    }
    const { epoch, step, what } = failure;
    this.#log.failure = new NonFiniteLossError(epoch, step, what, largest);
    return this.#log.failure;
  }

  /** @throws ClosedError. */
  #checkOpen(): void {
    if (this.#closed) {
      throw closed();
    }
    this.model.checkOpen();
  }

  /** Time counts from now on: `submit` follows. */
  begin(): void {
    this.#log.begin();
  }

  /**
   * Submits the next steps, at most `most`, without waiting for them. `steps` is made of it, and so is a group of trainers, which takes
   * care that at most `submitsInFlight` submits are in flight.
   * @returns a promise if rows or new weights have to come first; undefined if training has failed. @throws ClosedError.
   */
  submit(most: number): Submitted<TrainedSteps<S>> | Promise<void> | undefined {
    this.#checkOpen();
    if (this.#log.failure) return undefined;
    const waiting = this.#course.advance(this.#config) ?? this.#resampler?.before(this.done, this.#config);
    if (waiting) return waiting;
    const until = this.#resampler?.left(this.done) ?? most;
    const during = {
      epoch: this.#course.epoch,
      done: this.done,
      config: this.#config,
      variance: this.step.variance,
    };
    const { times, ended } = this.#course.submit(Math.min(most, until));
    return { times, ended: ended.then((log) => this.#log.add(log, during)) };
  }
}

function closed(): ClosedError {
  return new ClosedError(
    'The trainer was closed, and its model keeps the weights of the steps that were done. End training with a signal before ' +
      'closing it, or create another trainer.',
  );
}
