import type { Gpu } from '../../gpu/gpu.js';
import { Pacer } from '../../gpu/pacer.js';
import { Scope } from '../../gpu/scope.js';
import { parseTrainConfig, type TrainOptions } from '../config.js';
import { ConfigError } from '../errors.js';
import type { Model } from '../model/model.js';
import { type Rows, rowSource } from '../rows/source.js';
import { Windows } from '../rows/window.js';
import type { SparsityName } from '../sparsity/index.js';
import { type Placement, windowRows } from './placement.js';
import type { Snapshot } from './snapshot.js';
import { Trainer } from './trainer.js';
import type { TrainedSteps } from './training-log.js';

/** A model, and how it is trained. */
export interface Member {
  readonly model: Model;
  readonly options: TrainOptions<SparsityName>;
}

/** Steps of one of the trainers. */
export interface GroupSteps {
  readonly trainer: Trainer<SparsityName>;
  readonly told: TrainedSteps<SparsityName>;
}

/** What must be the same, for all to take the same rows in the same order. */
const shared = ['batch_size', 'seed', 'shuffle'] as const;

/**
 * Trains models side by side: the rows are read once and lie on the device once, and each model takes the same batches, as it would alone
 * and with the same results, bit for bit. After every round all have done as many steps as each other, but those that have come to their
 * end.
 */
export class TrainerGroup {
  readonly #pacer = new Pacer();
  #trainers: readonly Trainer<SparsityName>[];

  private constructor(
    trainers: readonly Trainer<SparsityName>[],
    /** @internal */
    readonly windows: Windows,
    readonly scope: Scope,
  ) {
    this.#trainers = trainers;
  }

  /**
   * @param members whose models stay the caller's. @param placement as of a `Trainer`.
   * @throws ConfigError if they do not share batch_size, seed and shuffle; as `Trainer.create`.
   */
  static create(rows: Rows, members: readonly Member[], placement: Placement = {}): Promise<TrainerGroup> {
    return Scope.building(async (scope) => {
      const [{ model, options }] = members;
      const { batch_size } = parseTrainConfig<SparsityName>(options, model.config);
      const windows = scope.use(
        await Windows.create(model.gpu, rowSource(rows), windowRows(placement, batch_size)),
      );
      const trainers: Trainer<SparsityName>[] = [];
      for (const member of members) {
        const made = await Trainer.create(member.model, rows, member.options, placement, windows);
        trainers.push(scope.use(made));
      }
      checkShared(trainers);
      return new TrainerGroup(trainers, windows, scope);
    });
  }

  /**
   * Goes on from snapshots that were taken between two rounds, with new models: the caller closes them.
   * @throws ConfigError if they are not of the same place; as `Trainer.resume`.
   */
  static resume(gpu: Gpu, rows: Rows, snapshots: readonly Snapshot<SparsityName>[]): Promise<TrainerGroup> {
    return Scope.building(async (scope) => {
      const [{ window_rows, rows: count }] = snapshots;
      const size = window_rows < count ? window_rows : undefined;
      const windows = scope.use(await Windows.create(gpu, rowSource(rows), size));
      const trainers: Trainer<SparsityName>[] = [];
      for (const snapshot of snapshots) {
        const made = await Trainer.resume<SparsityName>(gpu, rows, snapshot, windows);
        trainers.push(scope.use(made));
      }
      checkShared(trainers);
      const [{ done }] = trainers;
      const other = trainers.find((trainer) => trainer.done !== done);
      if (other) {
        throw new ConfigError(
          `Models are trained side by side from the same step on, and the snapshots are of step ${done} and of step ${other.done}. Resume them one by one.`,
        );
      }
      return new TrainerGroup(trainers, windows, scope);
    });
  }

  /** Those that are left. */
  get trainers(): readonly Trainer<SparsityName>[] {
    return this.#trainers;
  }

  /** Ends the training of a model before its time. To be called when no steps are running. */
  drop(trainer: Trainer<SparsityName>): void {
    this.#trainers = this.#trainers.filter((one) => one !== trainer);
    trainer.close();
  }

  /**
   * Trains until each has come to the end of its run or failed, or a signal ends it, which it does after a round; then all are at the
   * same step. Yields the steps of each submit when it has ended. One whose figures are not finite is left at the step before, and its
   * `failure` says so; the others go on.
   * @param until steps of the whole run after which it ends, between two rounds.
   * @throws ClosedError, DeviceLostError, and what reading rows throws.
   */
  async *steps({
    until = Number.POSITIVE_INFINITY,
    signal,
  }: {
    until?: number | undefined;
    signal?: AbortSignal | undefined;
  } = {}): AsyncGenerator<GroupSteps, void, void> {
    const isAtWork = (trainer: Trainer<SparsityName>) =>
      !trainer.failure && trainer.done < Math.min(trainer.runSteps, until);
    let round: readonly Trainer<SparsityName>[] = [];
    let target = 0;
    for (const trainer of this.#trainers) trainer.begin();
    const submit = (most: number) => {
      for (;;) {
        const next = round.find((trainer) => isAtWork(trainer) && trainer.done < target);
        if (next) {
          const left = Math.min(target, next.runSteps) - next.done;
          const submitted = next.submit(Math.min(most, left));
          if (submitted instanceof Promise) return submitted;
          if (submitted) {
            const { times, ended } = submitted;
            return { times, ended: ended.then((told) => ({ trainer: next, told })) };
          }
          continue;
        }
        round = signal?.aborted ? [] : this.#trainers.filter(isAtWork);
        if (round.length === 0) return undefined;
        const [{ done, step }] = round;
        // Nobody begins a window before all have done with the one before. How long the next one is shows its first step.
        target = Math.min(until, done + Math.max(1, Math.min(most, step.leftInWindow)));
      }
    };
    for await (const steps of this.#pacer.run(submit)) {
      if (steps.told.steps.length > 0) yield steps;
    }
  }

  /** Ends all of it. The models stay open. */
  close(): void {
    this.scope.destroy();
  }
}

/** @throws ConfigError. */
function checkShared(trainers: readonly Trainer<SparsityName>[]): void {
  const [first] = trainers;
  for (const name of shared) {
    const other = trainers.find(({ config }) => config[name] !== first.config[name]);
    if (other) {
      throw new ConfigError(
        `Models that are trained side by side take the same batches, so ${name} is one for all; it is ${first.config[name]} and ${other.config[name]}.`,
      );
    }
  }
}
