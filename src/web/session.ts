import {
  type Dataset,
  Gpu,
  type LiveSettings,
  LossHistory,
  Model,
  NonFiniteLossError,
  type Probe,
  type SavedModel,
  type Snapshot,
  Trainer,
} from '../sae/index.js';
import { Run, sampleProbe } from './run.js';
import type { Settings } from './settings.js';
import { loadShader } from './shaders.js';
import { tuningStore } from './tuning.js';

/** Milliseconds of work a submit: drawing and input are served in between, on a software adapter too. */
const submitMilliseconds = 16;
/** Milliseconds between two snapshots: what a lost device can cost. */
const snapshotInterval = 4000;
/** Times that a device is opened again without a step trained in between. */
const mostLosses = 3;

/** What a session tells those who watch it. */
export interface SessionEvents {
  /** There will be another run: a look at its model before the training step is compiled, which takes longest. */
  prepared(samples: Probe, dataset: Dataset): Promise<void>;
  /** There is another run. */
  replaced(run: Run): void;
  /** The model has been trained by some steps. */
  trained(): void;
  /** Training has begun or ended. */
  changed(): void;
  /** Training has failed: a sentence. */
  failed(sentence: string): void;
  /** The device was lost and is open again: a sentence. */
  recovered(sentence: string): void;
}

/** Trains one model at a time, and opens a lost device again. */
export class Session {
  readonly #events: SessionEvents;
  #gpu: Promise<Gpu> | undefined;
  #run: Run | undefined;
  #history = new LossHistory();
  #speed = 0;
  #snapshot: Snapshot | undefined;
  #snapshotAt = 0;
  /** Steps in all that training goes to. */
  #goal = 0;
  /** Ends the trainer's work at hand. */
  #round: AbortController | undefined;
  #training = false;
  #work: Promise<void> = Promise.resolve();
  /** Of the device, since a step was last trained. */
  #losses = 0;

  constructor(events: SessionEvents) {
    this.#events = events;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  get history(): LossHistory {
    return this.#history;
  }

  /** Steps done. */
  get done(): number {
    return (this.training ? this.#history.points.at(-1)?.step : this.#run?.trainer.done) ?? 0;
  }

  get goal(): number {
    return this.#goal;
  }

  get training(): boolean {
    return this.#training;
  }

  /** Samples a second, over about the last one. */
  get speed(): number {
    return this.#speed;
  }

  /** The device, opened where there is none or it was lost. @throws NoAdapterError. */
  open(): Promise<Gpu> {
    this.#gpu ??= Gpu.open(navigator.gpu, loadShader, { store: tuningStore }).then((gpu) => {
      void gpu.device.lost.then(() => {
        this.#gpu = undefined;
        const run = this.#run;
        // Training notices by itself.
        if (run?.gpu === gpu && !this.training) {
          void this.#inTurn(async () => {
            if (run === this.#run) {
              await this.#recover(run);
            }
          });
        }
      });
      return gpu;
    });
    this.#gpu.catch(() => {
      this.#gpu = undefined;
    });
    return this.#gpu;
  }

  /**
   * Puts a new model, or a saved one, in the place of the one at hand, which stays where that fails.
   * @throws EngineError.
   */
  start(settings: Settings, dataset: Dataset, saved?: SavedModel): Promise<void> {
    this.#stop();
    return this.#inTurn(() => this.#begin(settings, dataset, saved));
  }

  /** Trains until so many steps have been done in all, or `pause` is called. */
  train(goal: number): void {
    this.#goal = goal;
    if (this.training) {
      // The round at hand ends, and the next one goes to the new goal.
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

  /** Takes effect with the next submit. @throws ConfigError. */
  change({ lr, sparsity_lambda, sparsity_target }: LiveSettings): void {
    this.#run?.trainer.change({ lr, sparsity_lambda, sparsity_target });
  }

  #stop(): void {
    this.#goal = 0;
    this.#round?.abort();
  }

  /** What puts another run in place, or trains one, comes one after the other. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  /** A device without a failure: one that has refused a command, or lacked memory, says so ever after. */
  async #sound(): Promise<Gpu> {
    const gpu = await this.open();
    try {
      gpu.check();
      return gpu;
    } catch {
      gpu.close();
      await gpu.device.lost;
      return this.open();
    }
  }

  async #begin(settings: Settings, dataset: Dataset, saved?: SavedModel, again = false): Promise<void> {
    const gpu = await this.#sound();
    let built: { run: Run; snapshot: Snapshot };
    try {
      built = await this.#build(gpu, settings, dataset, saved);
    } catch (error) {
      if (again || !(await isLost(gpu))) {
        throw error;
      }
      return this.#begin(settings, dataset, saved, true);
    }
    this.#history = new LossHistory();
    this.#replace(built.run, built.snapshot);
  }

  async #build(
    gpu: Gpu,
    { h_dims, activation, ...options }: Settings,
    dataset: Dataset,
    saved?: SavedModel,
  ): Promise<{ run: Run; snapshot: Snapshot }> {
    const model = saved
      ? await Model.from(gpu, saved.config, saved.parameters)
      : await Model.create(gpu, { in_dims: dataset.in_dims, h_dims, activation }, options.seed);
    const samples = await sampleProbe(model, dataset);
    try {
      await this.#events.prepared(samples, dataset);
    } catch (error) {
      samples.close();
      model.close();
      throw error;
    }
    return withSnapshot(await Run.create(samples, Trainer.create(model, dataset, options), dataset));
  }

  async #train(): Promise<void> {
    while (this.#run && this.#run.trainer.done < this.#goal) {
      const run = this.#run;
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
      if (performance.now() > this.#snapshotAt + snapshotInterval) {
        // Where the device is lost meanwhile, the snapshot before stays, and the step after this one tells.
        this.#takeSnapshot(run).catch(() => {});
      }
    }
    await this.#takeSnapshot(run);
  }

  async #takeSnapshot(run: Run): Promise<void> {
    this.#snapshotAt = performance.now();
    const snapshot = await run.trainer.snapshot();
    if (run === this.#run) {
      this.#snapshot = snapshot;
    }
  }

  #replace(run: Run, snapshot: Snapshot): void {
    void this.#run?.close();
    this.#run = run;
    this.#snapshot = snapshot;
    this.#snapshotAt = performance.now();
    this.#events.replaced(run);
  }

  /** Opens the device again, with the model as the last snapshot has it. */
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

  /** Says why training has stopped. A trainer whose loss is no longer finite is of no more use. */
  async #fail(run: Run, error: Error): Promise<void> {
    let sentence = error.message;
    try {
      if (error instanceof NonFiniteLossError) {
        sentence += ` Train goes on from step ${await this.#goBack(run)}.`;
      }
    } catch (another) {
      sentence += ` The model cannot be put back as it was: ${(another as Error).message} Press Reset to start over.`;
    }
    this.#events.failed(sentence);
  }

  /** Puts a run as the last snapshot has it in the place of the one at hand. Gives its step. */
  async #goBack({ dataset, trainer }: Run): Promise<string> {
    const snapshot = this.#snapshot!;
    const resumed = await Trainer.resume(await this.open(), dataset, snapshot);
    const samples = await sampleProbe(resumed.model, dataset).catch((error) => {
      resumed.close();
      throw error;
    });
    const run = await Run.create(samples, Promise.resolve(resumed), dataset);
    // What was changed since the snapshot holds.
    const { lr, sparsity_lambda, sparsity_target } = trainer.config;
    resumed.change({ lr, sparsity_lambda, sparsity_target });
    this.#history.rewind(snapshot.done);
    this.#replace(run, snapshot);
    return snapshot.done.toLocaleString('en');
  }
}

/** A new run, with the copy to go back to; it is closed where there can be none. */
async function withSnapshot(run: Run): Promise<{ run: Run; snapshot: Snapshot }> {
  try {
    return { run, snapshot: await run.trainer.snapshot() };
  } catch (error) {
    await run.close();
    throw error;
  }
}

/** Whether the device is gone; its own notice may come a moment after what failed for it. */
export async function isLost({ device }: Gpu): Promise<boolean> {
  const later = new Promise<false>((resolve) => setTimeout(resolve, 100, false));
  return Promise.race([device.lost.then(() => true), later]);
}
