import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../gpu/errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import { NonFiniteError } from '../../sae/errors.js';
import { savedModel } from '../../sae/model/saved-model.js';
import type { Rows } from '../../sae/rows/source.js';
import type { SparsityName } from '../../sae/sparsity/index.js';
import { classes } from '../../sae/sweep/groups.js';
import { entrants, hopeless, stages } from '../../sae/sweep/halving.js';
import { evaluate } from '../../sae/training/evaluate.js';
import type { EpochMetrics } from '../../sae/training/metrics.js';
import type { Placement } from '../../sae/training/placement.js';
import type { SavedSnapshot } from '../../sae/training/snapshot-file.js';
import type { Trainer } from '../../sae/training/trainer.js';
import type { TrainerGroup } from '../../sae/training/trainer-group.js';
import { writeModelFile } from '../model-file.js';
import { writeSnapshotFile } from '../snapshot-file.js';
import type { Store } from '../store/store.js';
import { writeWhole } from '../write-file.js';
import { type Claim, removeOthers } from './claims.js';
import type { StoredTrial, TrialResult } from './records.js';
import type { Deaths, TrialProgress } from './sessions.js';

/** The rows of a sweep as a worker has them. */
export interface FleetRows {
  readonly train: Rows;
  readonly placement: Placement;
  readonly fingerprint: string;
  /** Those that trained models are measured on, and whether they are held-out ones. */
  readonly measured: Rows;
  readonly measured_placement: Placement;
  readonly held_out: boolean;
}

/** What trains a group, and where. */
export interface GroupWork {
  readonly store: Store;
  readonly gpu: Gpu;
  readonly rows: FleetRows;
  /** Whose claims these are. */
  readonly worker: string;
  readonly deaths: Deaths;
  readonly trials: readonly string[];
  /** How often snapshots are written. */
  readonly save_every: SaveEvery | undefined;
  /** Ends it: what there is is saved, and given back. */
  readonly signal: AbortSignal;
  tell(progress: Readonly<Record<string, TrialProgress>>): void;
  /** A sentence that a user should read. */
  warn(sentence: string): void;
}

interface SaveEvery {
  readonly count: number;
  readonly unit: 'steps' | 'epochs' | 'minutes';
}

/** A trial that a worker has, with what it is trained with. */
export interface Taken {
  readonly claim: Claim;
  readonly trial: StoredTrial;
}

/** Such with its training. */
export interface Running extends Taken {
  readonly trainer: Trainer<SparsityName>;
  readonly history: EpochMetrics<SparsityName>[];
  seconds: number;
}

/** The training of trials side by side, with all that is written on the way. */
export class GroupTraining {
  #left: Running[];
  /** Snapshots that are being written. */
  #saving: Promise<void> | undefined;
  /** When, and after how many steps, the last ones were taken. */
  #saved = { time: performance.now(), steps: 0 };
  readonly #progress: Record<string, TrialProgress> = {};

  constructor(
    readonly group: TrainerGroup,
    running: readonly Running[],
    readonly work: GroupWork,
    readonly folder: string,
  ) {
    this.#left = [...running];
    this.#saved.steps = running[0].trainer.done;
  }

  /** @param limit steps after which all are saved, and it ends. */
  async run(limit: number): Promise<void> {
    const { group, work } = this;
    const { signal } = work;
    try {
      while (this.#left.length > 0) {
        const stage = this.#nextStage();
        const until = Math.min(stage, limit, this.#nextSave());
        const pause = new AbortController();
        const either = AbortSignal.any([signal, pause.signal]);
        for await (const { trainer, told } of group.steps({ until, signal: either })) {
          const one = this.#left.find((other) => other.trainer === trainer)!;
          if (told.epoch) {
            one.history.push(told.epoch);
            one.seconds = told.epoch.seconds;
          }
          const { step, explained_variance, active } = told.steps[told.steps.length - 1];
          const of = trainer.runSteps;
          this.#progress[one.claim.trial] = { steps: step, of, explained_variance, active };
          work.tell(this.#progress);
          if (this.#isDue() || this.#left.some(({ claim }) => claim.lost)) pause.abort();
        }
        await this.#giveUp();
        await this.#settle(stage);
        if (signal.aborted || this.#left[0]?.trainer.done === limit) {
          await this.#saving;
          for (const one of this.#left) await this.#save(one, signal.aborted);
          return;
        }
        if (this.#isDue() || this.#left[0]?.trainer.done === this.#nextSave()) await this.#saveAll();
      }
    } finally {
      await this.#saving?.catch(() => {});
    }
    await this.#saving;
  }

  /** Leaves what is another worker's to it, and gives back its rivals: without one of them nobody can say who is hopeless. */
  async #giveUp(): Promise<void> {
    if (!this.#left.some(({ claim }) => claim.lost)) return;
    await this.#saving;
    const contestOf = ({ trial }: Running) => trial.contest?.rivals.join();
    const lost = this.#left.filter(({ claim }) => claim.lost);
    const contests = new Set(lost.map(contestOf));
    for (const one of lost) this.#drop(one);
    for (const one of this.#left) {
      if (one.trial.contest && contests.has(contestOf(one))) await this.#save(one, true);
    }
  }

  /** Ends what has failed, has come to its end, or is hopeless. */
  async #settle(stage: number): Promise<void> {
    for (const one of [...this.#left]) {
      const { claim, trainer } = one;
      if (trainer.failure) {
        await claim.write({ state: 'failed', steps: trainer.done, failure: trainer.failure.message });
        await this.#ended(one);
      } else if (trainer.done === trainer.runSteps) {
        await this.#saving;
        await this.#finish(one);
      }
    }
    const contested = this.#left.filter(({ trainer, trial }) => trial.contest && trainer.done === stage);
    for (const rivals of classes(contested, ({ trial }) => trial.contest!.rivals)) {
      const [{ trainer, trial }] = rivals;
      const { halving, rivals: all } = trial.contest!;
      const before = stagesOf(trainer, halving).filter((end) => end < stage).length;
      const losses = rivals.map(({ history }) => history.at(-1)?.loss ?? Number.NaN);
      for (const i of hopeless(losses, halving, entrants(all.length, before, halving))) {
        await this.#saving;
        await this.#finish(rivals[i], 'ended');
      }
    }
  }

  /** The steps after which the next stage of a contest ends. */
  #nextStage(): number {
    const ends = this.#left.flatMap(({ trial, trainer }) =>
      trial.contest ? stagesOf(trainer, trial.contest.halving).filter((end) => end > trainer.done) : [],
    );
    return Math.min(...ends, Number.POSITIVE_INFINITY);
  }

  /** The steps after which snapshots are due, if that is a matter of steps. */
  #nextSave(): number {
    const { save_every } = this.work;
    if (!save_every || save_every.unit === 'minutes' || this.#left.length === 0)
      return Number.POSITIVE_INFINITY;
    const [{ trainer }] = this.#left;
    const each = save_every.unit === 'epochs' ? trainer.stepsOf(save_every.count) : save_every.count;
    return (Math.floor(this.#saved.steps / each) + 1) * each;
  }

  #isDue(): boolean {
    const { save_every } = this.work;
    if (save_every?.unit !== 'minutes' || this.#saving) return false;
    return performance.now() - this.#saved.time >= save_every.count * 60_000;
  }

  /** Copies what there is, and writes it while training goes on. */
  async #saveAll(): Promise<void> {
    await this.#saving;
    this.#saved = { time: performance.now(), steps: this.#left[0].trainer.done };
    const taken = [];
    for (const one of this.#left) taken.push([one, await this.#copy(one)] as const);
    this.#saving = (async () => {
      for (const [one, snapshot] of taken) await this.#write(one, snapshot, 'running');
    })()
      .catch((error) => {
        // A store that is away for a while or full may be there again the next time, and has to be at the end.
        if (!(error instanceof EngineError)) throw error;
        this.work.warn(`${error.message} Training goes on without that snapshot.`);
      })
      .finally(() => {
        this.#saving = undefined;
      });
    // Whoever waits for it is told.
    this.#saving.catch(() => {});
  }

  async #save(one: Running, last: boolean): Promise<void> {
    await this.#write(one, await this.#copy(one), last ? 'open' : 'running');
    this.#drop(one);
  }

  async #copy({ trainer, history }: Running): Promise<SavedSnapshot<SparsityName>> {
    const { train, fingerprint } = this.work.rows;
    return {
      snapshot: await trainer.snapshot(),
      normalization: train.normalization,
      ...(train.image_shape && { image_shape: train.image_shape }),
      fingerprint,
      texts: new Map([['history', JSON.stringify(history)]]),
      arrays: new Map(),
    };
  }

  async #write(
    { claim }: Running,
    saved: SavedSnapshot<SparsityName>,
    state: 'running' | 'open',
  ): Promise<void> {
    const { done } = saved.snapshot;
    const before = claim.state.snapshot;
    if (done === claim.state.steps) {
      await claim.write({ state, attempts: state === 'open' ? 0 : claim.state.attempts });
      return;
    }
    const file = join(this.folder, `${claim.trial}.safetensors`);
    await writeSnapshotFile(file, saved);
    const snapshot = claim.key(`${done}.safetensors`);
    await this.work.store.putFile(snapshot, file);
    await rm(file);
    if (!(await claim.write({ state, snapshot, steps: done, attempts: 0 }))) await claim.discard([snapshot]);
    else if (before !== undefined) await this.work.store.remove(before);
  }

  /** Measures a model, and writes it with what it came to. */
  async #finish(one: Running, state: 'done' | 'ended' = 'done'): Promise<void> {
    const { claim, trainer, history, seconds, trial } = one;
    const { store, rows, gpu } = this.work;
    const { train, held_out, measured, measured_placement } = rows;
    let metrics: TrialResult['metrics'];
    try {
      metrics = await evaluate<SparsityName>(trainer.model, measured, trial.training, measured_placement);
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      await claim.write({ state: 'failed', steps: trainer.done, failure: error.message });
      await this.#ended(one);
      return;
    }
    const files = { model: claim.key('sae.safetensors'), history: claim.key('metrics.jsonl') };
    const local = join(this.folder, `${claim.trial}.end`);
    await writeModelFile(local, await savedModel(trainer.model, train, trainer.config));
    await store.putFile(files.model, local);
    const lines = history.map((epoch) => `${JSON.stringify(epoch)}\n`).join('');
    await writeWhole(local, [new TextEncoder().encode(lines)], (why) => new Error(why));
    await store.putFile(files.history, local);
    await rm(local);
    const result = {
      metrics,
      held_out,
      steps: trainer.done,
      seconds,
      adapter: gpu.name,
      ...files,
    };
    // What a zombie has written besides is removed by whoever has the trial now.
    const { snapshot: _, ...without } = claim.state;
    if (await claim.replace({ ...without, state, steps: trainer.done, result })) await this.#ended(one);
    else {
      await claim.discard(Object.values(files));
      this.#drop(one);
    }
  }

  async #ended(one: Running): Promise<void> {
    await removeOthers(this.work.store, one.claim.trial);
    this.#drop(one);
  }

  #drop(one: Running): void {
    this.#left = this.#left.filter((other) => other !== one);
    this.group.drop(one.trainer);
  }
}

/** The steps after which the stages of a contest end. */
function stagesOf({ runSteps, step }: Trainer<SparsityName>, halving: number): number[] {
  return stages(Math.floor(runSteps / step.batches), halving).map((epochs) => epochs * step.batches);
}
