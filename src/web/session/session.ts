import {
  type Gpu,
  type LiveSettings,
  LossHistory,
  type LossPoint,
  liveSettings,
  NonFiniteLossError,
  type Probe,
  type SavedModel,
  type Snapshot,
  type SparsityName,
} from '../../sae/index.js';
import type { Settings } from '../settings/settings.js';
import { isLost, PageDevice } from './device.js';
import { buildRun, type Run, type RunAndSnapshot, resumeRun } from './run.js';
import type { ShownRows } from './shown-rows.js';

/** Milliseconds of work per submit, so that drawing and input are not delayed, even on a software adapter. */
const submitMilliseconds = 16;
/** Milliseconds between two snapshots: the training that a lost device can cost. */
const snapshotInterval = 4000;
/** With large models, the interval is at least this many times a snapshot's time, so training is hardly slower. */
const snapshotRest = 20;
/** How often a lost device is opened again without a step trained in between. */
const mostLosses = 3;

/** The events of a session. */
export interface SessionEvents {
  /** A new run is being made: its model can be shown before the training step is compiled, which takes longest. */
  prepared(samples: Probe, dataset: ShownRows): Promise<void>;
  /** There is a new run. */
  replaced(run: Run): void;
  /** The model has been trained by some steps. */
  trained(): void;
  /** Training has begun or ended. */
  changed(): void;
  /** Training has failed, with a message. */
  failed(sentence: string): void;
  /** The device was lost and is open again, with a message. */
  recovered(sentence: string): void;
  /** There is a new copy of the training on the host. @param still whether training has ended, for now. */
  copied(snapshot: Snapshot<SparsityName>, run: Run, still: boolean): void;
}

/** Trains one model at a time, and opens a lost device again. */
export class Session {
  readonly #events: SessionEvents;
  readonly #device = new PageDevice((gpu) => this.#lost(gpu));
  #run: Run | undefined;
  #history = new LossHistory<SparsityName>();
  #speed = 0;
  #snapshot: Snapshot<SparsityName> | Promise<Snapshot<SparsityName>> | undefined;
  /** Makes the current run as it was made, for as long as there is no copy of it. */
  #makeAgain: (() => Promise<void>) | undefined;
  /** When the next snapshot is due. */
  #snapshotDue = 0;
  /** Total steps at which training ends. */
  #goal = 0;
  /** Ends the trainer's current call. */
  #round: AbortController | undefined;
  #training = false;
  #starting = false;
  /** Latents that are to get new weights before the next steps. */
  #toRevive: readonly number[] = [];
  #work: Promise<void> = Promise.resolve();
  /** Losses of the device since a step was last trained. */
  #losses = 0;

  constructor(events: SessionEvents) {
    this.#events = events;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  get history(): LossHistory<SparsityName> {
    return this.#history;
  }

  /** The kind of sparsity of the current model. */
  get sparsity(): SparsityName {
    return this.#run?.trainer.config.sparsity ?? 'kl';
  }

  /** Steps done. */
  get done(): number {
    return (this.training ? this.#history.points.at(-1)?.step : this.#run?.trainer.done) ?? 0;
  }

  get goal(): number {
    return this.#goal;
  }

  /** Whether the current model is being replaced. */
  get starting(): boolean {
    return this.#starting;
  }

  get training(): boolean {
    return this.#training;
  }

  /** Samples per second, over about the last second. */
  get speed(): number {
    return this.#speed;
  }

  /** Opens the device before it is needed. @throws NoAdapterError. */
  async open(): Promise<void> {
    await this.#device.open();
  }

  /**
   * Replaces the current model by a new or a saved one. If that fails, it stays.
   * @throws EngineError.
   */
  async start(settings: Settings, dataset: ShownRows, saved?: SavedModel): Promise<void> {
    this.#stop();
    this.#starting = true;
    try {
      await this.#inTurn(() => this.#begin(settings, dataset, saved));
    } finally {
      this.#starting = false;
    }
  }

  /** Replaces the current model by a training that goes on. @param points of its curves. @throws EngineError. */
  async goOn(
    snapshot: Snapshot<SparsityName>,
    dataset: ShownRows,
    points: readonly LossPoint<SparsityName>[],
  ): Promise<void> {
    this.#stop();
    this.#starting = true;
    try {
      await this.#inTurn(async () => {
        const run = await resumeRun(await this.#device.sound(), dataset, snapshot, liveOf(snapshot.training));
        this.#history = new LossHistory<SparsityName>(undefined, points);
        this.#replace(run, snapshot);
      });
    } finally {
      this.#starting = false;
    }
  }

  /** Trains until the total number of steps is `goal`, or `pause` is called. */
  train(goal: number): void {
    this.#goal = goal;
    if (this.training) {
      // The current round ends, and the next one has the new goal.
      this.#round?.abort();
      return;
    }
    this.#training = true;
    void this.#inTurn(async () => {
      await this.#train();
      this.#training = false;
      this.#events.changed();
    });
    this.#events.changed();
  }

  /** Ends training after the steps in flight. */
  async pause(): Promise<void> {
    this.#stop();
    await this.#work;
  }

  /** Gives latents of the current model new weights, between two steps if it is being trained. */
  revive(latents: readonly number[]): Promise<void> {
    this.#toRevive = latents;
    if (this.training) {
      // The current round ends, and the next one begins with that.
      this.#round?.abort();
      return this.#work;
    }
    return this.#inTurn(async () => {
      await this.#reviveNow();
      this.#events.changed();
    });
  }

  /** Gives the rows of the current model other labels. @param dataset the same rows with these. */
  relabel(dataset: ShownRows): void {
    if (this.#run) {
      this.#run.dataset = dataset;
    }
  }

  /** Changes settings from the next submit on, if they are for the model's kind of sparsity. @throws ConfigError. */
  change(settings: Settings): void {
    if (settings.sparsity === this.sparsity) {
      this.#run?.trainer.change(liveOf(settings));
    }
  }

  async #reviveNow(): Promise<void> {
    const run = this.#run;
    const latents = this.#toRevive;
    this.#toRevive = [];
    if (!run || latents.length === 0) {
      return;
    }
    try {
      await run.trainer.revive(latents);
      await this.#takeSnapshot(run);
    } catch (error) {
      // A lost device is noticed by the next steps, or by its own notice.
      if (!(await isLost(run.gpu))) {
        this.#events.failed((error as Error).message);
      }
    }
  }

  /** Ends training, and begins it again only after some work that needs the model as it is. */
  still(work: () => Promise<void>): Promise<void> {
    this.#stop();
    return this.#inTurn(work);
  }

  #stop(): void {
    this.#goal = 0;
    this.#round?.abort();
  }

  /** Runs work after the work before: runs are replaced and trained one after another. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #begin(settings: Settings, dataset: ShownRows, saved?: SavedModel, again = false): Promise<void> {
    const gpu = await this.#device.sound();
    let built: RunAndSnapshot;
    try {
      built = await buildRun(gpu, settings, dataset, saved, this.#events.prepared);
    } catch (error) {
      if (again || !(await isLost(gpu))) {
        throw error;
      }
      return this.#begin(settings, dataset, saved, true);
    }
    this.#history = new LossHistory<SparsityName>();
    this.#makeAgain = () => this.#begin(settings, dataset, saved, true);
    this.#replace(built.run, built.snapshot);
  }

  async #train(): Promise<void> {
    while (this.#run && this.#run.trainer.done < this.#goal) {
      const run = this.#run;
      await this.#reviveNow();
      this.#round = new AbortController();
      try {
        await this.#trainOn(run, this.#goal - run.trainer.done, this.#round.signal);
      } catch (error) {
        if (await isLost(run.gpu)) {
          await this.#recover(run);
        } else {
          this.#goal = 0;
          await this.#fail(run, error as Error);
        }
      }
    }
    await this.#reviveNow();
  }

  async #trainOn(run: Run, count: number, signal: AbortSignal): Promise<void> {
    for await (const { steps, samples_per_second } of run.trainer.steps({
      count,
      signal,
      submitMilliseconds,
    })) {
      this.#history.add(steps);
      this.#speed = samples_per_second;
      this.#losses = 0;
      this.#events.trained();
      if (performance.now() > this.#snapshotDue) {
        // If the device is lost meanwhile, the earlier snapshot stays, and the next step reports the loss.
        this.#takeSnapshot(run).catch(() => {});
      }
    }
    await this.#takeSnapshot(run, true);
  }

  async #takeSnapshot(run: Run, still = false): Promise<void> {
    const begin = performance.now();
    // No other snapshot begins before this one is done.
    this.#snapshotDue = Number.POSITIVE_INFINITY;
    try {
      const snapshot = await run.trainer.snapshot();
      if (run === this.#run) {
        this.#snapshot = snapshot;
        this.#events.copied(snapshot, run, still);
      }
    } finally {
      const end = performance.now();
      this.#snapshotDue = Math.max(begin + snapshotInterval, end + snapshotRest * (end - begin));
    }
  }

  #replace(run: Run, snapshot: Snapshot<SparsityName> | Promise<Snapshot<SparsityName>>): void {
    void this.#run?.close();
    this.#run = run;
    this.#snapshot = snapshot;
    // That of a large model takes seconds. Whether there is one is asked where it is needed.
    void Promise.resolve(snapshot).catch(() => {});
    this.#snapshotDue = performance.now() + snapshotInterval;
    this.#events.replaced(run);
  }

  /** Recovers from a lost device if there is no training, which would notice by itself. */
  #lost(gpu: Gpu): void {
    const run = this.#run;
    if (run?.gpu === gpu && !this.training) {
      void this.#inTurn(async () => {
        if (run === this.#run) {
          await this.#recover(run);
        }
      });
    }
  }

  /** Opens the device again, with the model of the last snapshot. */
  async #recover(run: Run): Promise<void> {
    this.#losses += 1;
    try {
      if (this.#losses > mostLosses) {
        throw new Error('it was lost again and again.');
      }
      const step = await this.#goBack(run);
      this.#events.recovered(
        `The graphics device was lost. It is open again, and ${
          this.training ? `training goes on from step ${step}` : `the model is as it was after step ${step}`
        }.`,
      );
    } catch (error) {
      this.#goal = 0;
      this.#events.failed(
        `The graphics device was lost and cannot be opened again: ${(error as Error).message} Reload the page to start over.`,
      );
    }
  }

  /**
   * Reports why training has stopped, unless a new model is being made. After a loss that is not finite, goes back to
   * the last snapshot.
   */
  async #fail(run: Run, error: Error): Promise<void> {
    let sentence = error.message;
    try {
      if (error instanceof NonFiniteLossError) {
        sentence += ` Train goes on from step ${await this.#goBack(run)}.`;
      }
    } catch (another) {
      sentence += ` The last good model cannot be restored: ${(another as Error).message} Press Reset to start over.`;
    }
    if (!this.#starting) {
      this.#events.failed(sentence);
    }
  }

  /** Replaces the current run by one from the last snapshot. Returns its step. */
  async #goBack({ dataset, trainer }: Run): Promise<string> {
    let snapshot: Snapshot<SparsityName>;
    try {
      snapshot = await this.#snapshot!;
    } catch {
      await this.#makeAgain!();
      return '0';
    }
    // Settings that were changed since the snapshot stay changed.
    const run = await resumeRun(await this.#device.open(), dataset, snapshot, liveOf(trainer.config));
    this.#history.rewind(snapshot.done);
    this.#replace(run, snapshot);
    return snapshot.done.toLocaleString('en');
  }
}

function liveOf(settings: object): LiveSettings<SparsityName> {
  const live = Object.entries(settings).filter(([name]) => liveSettings.includes(name));
  return Object.fromEntries(live) as LiveSettings<SparsityName>;
}
