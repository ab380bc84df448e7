import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError, LimitError, OutOfMemoryError } from '../../gpu/errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import { NonFiniteError } from '../../sae/errors.js';
import { Model } from '../../sae/model/model.js';
import { savedModel } from '../../sae/model/saved-model.js';
import type { Rows } from '../../sae/rows/source.js';
import type { SparsityName } from '../../sae/sparsity/index.js';
import { classes, trialBytes } from '../../sae/sweep/groups.js';
import { hopeless, stages } from '../../sae/sweep/halving.js';
import { evaluate } from '../../sae/training/evaluate.js';
import type { EpochMetrics } from '../../sae/training/metrics.js';
import type { Placement } from '../../sae/training/placement.js';
import type { SavedSnapshot } from '../../sae/training/snapshot-file.js';
import type { Trainer } from '../../sae/training/trainer.js';
import { TrainerGroup } from '../../sae/training/trainer-group.js';
import { writeModelFile } from '../model-file.js';
import { isDead, owner } from '../owner.js';
import { readSnapshotFile, writeSnapshotFile } from '../snapshot-file.js';
import type { Store } from '../store/store.js';
import { writeWhole } from '../write-file.js';
import { type Claim, removeOthers, take } from './claims.js';
import { readTrial, type StoredTrial, type TrialResult } from './records.js';
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

/** What was left of a group. */
export interface GroupEnd {
  /** Trials that other workers have. */
  readonly busy: number;
  /** Trials that were given back. */
  readonly open: number;
}

/** A trial that a worker has, with what it is trained with. */
interface Taken {
  readonly claim: Claim;
  readonly trial: StoredTrial;
}

/** Such with its training. */
interface Running extends Taken {
  readonly trainer: Trainer<SparsityName>;
  readonly history: EpochMetrics<SparsityName>[];
  seconds: number;
}

/** Takes without progress after which a trial is trained by itself, and after which it counts as failed. */
const suspicious = 3;
const mostAttempts = 5;
/** Bytes of the models of a group on a GPU, whose memory WebGPU does not tell; on a software adapter, a share of what is free. */
const mostOnGpu = 4 * 2 ** 30;
const share = 1 / 2;

/**
 * Trains the trials of a group that are free, side by side as far as they fit, and writes what they come to into the store.
 * @throws what ends a worker's work: DeviceLostError, EngineError of the store, DataError of the rows. What was begun then stays this worker's
 * until its session ends.
 */
export async function trainGroup(work: GroupWork): Promise<GroupEnd> {
  const { store, trials, worker, deaths } = work;
  const taken: Taken[] = [];
  let busy = 0;
  /** Contests some of whose rivals others have: all of one wait for these. */
  const waiting = new Set<string>();
  const contestOf = ({ contest }: StoredTrial) => (contest ? contest.rivals.join() : '');
  for (const name of trials) {
    const trial = await readTrial(store, name);
    const claim = waiting.has(contestOf(trial)) ? 'busy' : await take(store, name, worker, deaths);
    if (claim === 'busy') {
      busy += 1;
      if (trial.contest) waiting.add(contestOf(trial));
    }
    if (typeof claim === 'string') continue;
    if (claim.state.attempts > mostAttempts) {
      const failure = `It was begun ${mostAttempts} times, and each time its worker ended before it had come further.`;
      await claim.write({ state: 'failed', failure });
      continue;
    }
    taken.push({ claim, trial });
  }
  const folder = await temporaryFolder();
  try {
    const free = taken.filter(({ trial }) => !waiting.has(contestOf(trial)));
    await giveBack(taken.filter(({ trial }) => waiting.has(contestOf(trial))));
    await catchUp(free, work, folder);
    // Who is hopeless is decided among all rivals.
    const alone = ({ claim, trial }: Taken) =>
      claim.state.attempts > suspicious && !trial.contest ? claim.trial : undefined;
    const together = classes(free.filter(isHeld), (one) => [one.claim.state.steps, alone(one)]);
    for (const some of together.flatMap((one) => packed(one, work.gpu))) {
      if (work.signal.aborted) await giveBack(some);
      else await sideBySide(some, work, folder);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const open = taken.filter(({ claim }) => claim.state.state === 'open' && !claim.lost).length;
  busy += taken.filter(({ claim }) => claim.lost).length;
  return { busy, open };
}

/** A folder for files on their way, once those of processes that were killed are removed. */
async function temporaryFolder(): Promise<string> {
  const prefix = 'sae-trials-';
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(prefix) || !isDead(name.slice(prefix.length))) continue;
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {});
  }
  return mkdtemp(join(tmpdir(), `${prefix}${owner()}-`));
}

/** Divides trials so that those of each part fit into memory together. */
function packed(taken: readonly Taken[], gpu: Gpu): Taken[][] {
  const room = gpu.software ? process.availableMemory() * share : mostOnGpu;
  const parts: Taken[][] = [];
  let bytes = 0;
  for (const one of taken) {
    const own = trialBytes(one.trial);
    if (parts.length === 0 || bytes + own > room) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(one);
    bytes += own;
  }
  return parts;
}

const isHeld = ({ claim }: Taken) => claim.state.state === 'running' && !claim.lost;

/** Trains rivals that were saved at earlier steps than others up to these: a worker may be killed between two snapshots. */
async function catchUp(taken: readonly Taken[], work: GroupWork, folder: string): Promise<void> {
  const contested = taken.filter(({ trial }) => trial.contest);
  for (const rivals of classes(contested, ({ trial }) => trial.contest!.rivals)) {
    while (!work.signal.aborted) {
      const left = rivals.filter(isHeld);
      const [least, next] = [...new Set(left.map(({ claim }) => claim.state.steps))].sort((a, b) => a - b);
      if (next === undefined) break;
      const behind = left.filter(({ claim }) => claim.state.steps === least);
      await sideBySide(behind, work, folder, next);
    }
  }
}

async function giveBack(taken: readonly Taken[]): Promise<void> {
  for (const { claim } of taken) await claim.write({ state: 'open', attempts: claim.state.attempts - 1 });
}

/** @param limit steps after which they are saved, and stay this worker's. */
async function sideBySide(
  taken: readonly Taken[],
  work: GroupWork,
  folder: string,
  limit = Number.POSITIVE_INFINITY,
): Promise<void> {
  let begun: { group: TrainerGroup; running: Running[] };
  try {
    begun = await begin(taken, work, folder);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError || error instanceof LimitError)) throw error;
    if (taken.length > 1) {
      const half = Math.ceil(taken.length / 2);
      for (const some of [taken.slice(0, half), taken.slice(half)])
        await sideBySide(some, work, folder, limit);
      return;
    }
    await taken[0].claim.write({ state: 'failed', failure: error.message });
    return;
  }
  const { group, running } = begun;
  const models = running.map(({ trainer }) => trainer.model);
  try {
    await new GroupTraining(group, running, work, folder).run(limit);
  } finally {
    group.close();
    for (const model of models) model.close();
  }
}

async function begin(
  taken: readonly Taken[],
  { gpu, rows, store }: GroupWork,
  folder: string,
): Promise<{ group: TrainerGroup; running: Running[] }> {
  const { train, placement } = rows;
  if (taken[0].claim.state.snapshot === undefined) {
    const members = [];
    try {
      for (const { trial } of taken) {
        const model = await Model.create<SparsityName>(gpu, trial.model, trial.training, train);
        members.push({ model, options: trial.training });
      }
      const group = await TrainerGroup.create(train, members, placement);
      return { group, running: taken.map((one, i) => running(one, group.trainers[i], [], 0)) };
    } catch (error) {
      for (const { model } of members) model.close();
      throw error;
    }
  }
  const saved: SavedSnapshot<SparsityName>[] = [];
  for (const { claim } of taken) {
    const file = join(folder, `${claim.trial}.snapshot`);
    await store.getFile(claim.state.snapshot!, file);
    saved.push(await readSnapshotFile<SparsityName>(file));
    await rm(file);
  }
  const group = await TrainerGroup.resume(
    gpu,
    train,
    saved.map(({ snapshot }) => snapshot),
  );
  const histories = saved.map(({ texts }) => JSON.parse(texts.get('history') ?? '[]'));
  return {
    group,
    running: taken.map((one, i) => running(one, group.trainers[i], histories[i], saved[i].snapshot.seconds)),
  };
}

function running(
  taken: Taken,
  trainer: Trainer<SparsityName>,
  history: EpochMetrics<SparsityName>[],
  seconds: number,
): Running {
  return { ...taken, trainer, history, seconds };
}

/** The training of trials side by side, with all that is written on the way. */
class GroupTraining {
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

  /** Ends what has failed, has come to its end, is another worker's, or is hopeless. */
  async #settle(stage: number): Promise<void> {
    for (const one of [...this.#left]) {
      const { claim, trainer } = one;
      if (claim.lost) this.#drop(one);
      else if (trainer.failure) {
        await claim.write({ state: 'failed', steps: trainer.done, failure: trainer.failure.message });
        await this.#ended(one);
      } else if (trainer.done === trainer.runSteps) {
        await this.#saving;
        await this.#finish(one);
      }
    }
    const contested = this.#left.filter(({ trainer, trial }) => trial.contest && trainer.done === stage);
    for (const rivals of classes(contested, ({ trial }) => trial.contest!.rivals)) {
      const losses = rivals.map(({ history }) => history.at(-1)?.loss ?? Number.NaN);
      // Rivals that have failed count as well.
      const all = rivals[0].trial.contest!.rivals.length;
      const failed = Array.from(
        { length: Math.max(0, this.#entered(all, stage, rivals[0]) - rivals.length) },
        () => Number.NaN,
      );
      for (const i of hopeless([...losses, ...failed], rivals[0].trial.contest!.halving)) {
        if (i >= rivals.length) continue;
        await this.#saving;
        await this.#finish(rivals[i], 'ended');
      }
    }
  }

  /** How many rivals come to a stage. */
  #entered(all: number, stage: number, { trial, trainer }: Running): number {
    let left = all;
    for (const end of stagesOf(trainer, trial.contest!.halving)) {
      if (end >= stage) break;
      left = Math.max(1, Math.ceil(left / trial.contest!.halving));
    }
    return left;
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
