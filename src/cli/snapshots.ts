import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFileError } from '../node/data/files.js';
import {
  ConfigError,
  EngineError,
  fingerprint,
  type Rows,
  type SavedSnapshot,
  type Snapshot,
  type SparsityName,
  type Trainer,
  writeSnapshotFile,
} from '../node/index.js';
import type { Reporter } from './reporter.js';
import { packState, type RunState } from './run-state.js';
import type { SaveEvery } from './save-every.js';

export const snapshotName = 'snapshot.safetensors';
const previousName = 'snapshot.previous.safetensors';

/** The state of a run as it was after so many steps, of which so many epochs had ended. */
export type StateAt = (steps: number, epochs: number) => RunState;

/** Saves a training while it goes on. It never waits: what is due is copied on the device, and written when that has come. */
export class Snapshots {
  readonly file: string;
  /** Why the last one could not be written. */
  failure: EngineError | undefined;
  /** Steps of the snapshot that is on disk. */
  saved: number | undefined;
  #trainer: Trainer<SparsityName> | undefined;
  #state: StateAt | undefined;
  #fingerprint: Promise<string> | undefined;
  /** Steps and time of the last one that was taken. */
  #last = { steps: 0, time: 0 };
  #taken: Snapshot<SparsityName> | undefined;
  #work: Promise<void> | undefined;
  /** Whether a file of an earlier run may be in the place. */
  #others: boolean;

  private constructor(
    readonly every: SaveEvery,
    folder: string,
    readonly rows: Rows,
    readonly reporter: Reporter,
    resumed?: { readonly steps: number; readonly file: string },
  ) {
    this.file = join(folder, snapshotName);
    this.#others = resumed?.file !== this.file;
    this.saved = this.#others ? undefined : resumed?.steps;
  }

  /**
   * Undefined for a training that is not to be saved.
   * @param rows that it is trained on. @param resumed the snapshot from which it goes on, if it does.
   * @throws ConfigError if it cannot be gone on with.
   */
  static of(
    every: SaveEvery | undefined,
    folder: string,
    rows: Rows,
    reporter: Reporter,
    resumed?: { readonly steps: number; readonly file: string },
  ): Snapshots | undefined {
    const once = 'read' in rows && rows.once;
    if (once && every?.given) {
      throw new ConfigError(
        `The rows of ${rows.name} come once, so a training with them cannot be gone on with, and save_every has no use. Leave it out.`,
      );
    }
    return every && !once ? new Snapshots(every, folder, rows, reporter, resumed) : undefined;
  }

  /** Begins to save a training. */
  begin(trainer: Trainer<SparsityName>, state: StateAt): void {
    this.#trainer = trainer;
    this.#state = state;
    this.#taken = undefined;
    this.#work = undefined;
    this.#last = { steps: trainer.done, time: performance.now() };
  }

  /** To be called whenever the metrics of steps have come. @param done steps whose metrics have. */
  told(done: number): void {
    const trainer = this.#trainer!;
    if (this.#taken && this.#taken.done <= done && !this.#work) {
      const snapshot = this.#taken;
      this.#taken = undefined;
      this.#start(this.#write(snapshot));
    } else if (!this.#taken && !this.#work && this.#isDue(done)) {
      this.#last = { steps: done, time: performance.now() };
      const taking = trainer.snapshot().then((snapshot) => {
        this.#taken = snapshot;
      });
      // A failure of the training ends it, and is reported then.
      this.#start(taking.catch(() => {}));
    }
  }

  /** Saves the training as it is at the end, or where it was interrupted, when no steps are running. */
  async finish(): Promise<void> {
    await this.#work;
    const trainer = this.#trainer!;
    if (this.saved === trainer.done && !this.failure) return;
    await this.#write(await trainer.snapshot());
  }

  /** Waits for what is being written. */
  async settle(): Promise<void> {
    await this.#work;
  }

  #isDue(done: number): boolean {
    const { count, unit } = this.every;
    if (unit === 'minutes') return performance.now() - this.#last.time >= count * 60_000;
    const each = unit === 'epochs' ? this.#trainer!.stepsOf(count) : count;
    return Math.floor(done / each) > Math.floor(this.#last.steps / each);
  }

  #start(work: Promise<void>): void {
    const own = work.finally(() => {
      if (this.#work === own) this.#work = undefined;
    });
    this.#work = own;
  }

  async #write(snapshot: Snapshot<SparsityName>): Promise<void> {
    const { rows } = this;
    const { batches } = this.#trainer!.step;
    const ended = snapshot.done === this.#trainer!.runSteps ? Math.ceil : Math.floor;
    const state = this.#state!(snapshot.done, ended(snapshot.done / batches));
    try {
      // Rows that cannot be read now may be later.
      this.#fingerprint ??= fingerprint(rows).catch((error) => {
        this.#fingerprint = undefined;
        throw error;
      });
      const saved: SavedSnapshot<SparsityName> = {
        snapshot,
        normalization: rows.normalization,
        ...(rows.image_shape && { image_shape: rows.image_shape }),
        fingerprint: await this.#fingerprint,
        ...packState(state),
      };
      if (this.#others) await this.#keepOther();
      await writeSnapshotFile(this.file, saved);
      this.saved = snapshot.done;
      this.failure = undefined;
    } catch (error) {
      // The training matters more, and the next one may succeed.
      if (!this.failure) this.reporter.warn(`${(error as Error).message} Training goes on.`);
      this.failure = error as EngineError;
    }
  }

  /** The snapshot of another run may be all that is left of it. */
  async #keepOther(): Promise<void> {
    const kept = join(this.file, '..', previousName);
    try {
      await rename(this.file, kept);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new EngineError(
          `The snapshot of an earlier run, ${this.file}, cannot be kept as ${kept}: ${describeFileError(error)}.`,
          { cause: error },
        );
      }
      this.#others = false;
      return;
    }
    this.#others = false;
    this.reporter.warn(`The snapshot of an earlier run was kept as ${kept}.`);
  }
}
