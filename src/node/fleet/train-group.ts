import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LimitError, OutOfMemoryError } from '../../gpu/errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import { Model } from '../../sae/model/model.js';
import type { SparsityName } from '../../sae/sparsity/index.js';
import { classes, trialBytes } from '../../sae/sweep/groups.js';
import type { EpochMetrics } from '../../sae/training/metrics.js';
import type { SavedSnapshot } from '../../sae/training/snapshot-file.js';
import type { Trainer } from '../../sae/training/trainer.js';
import { TrainerGroup } from '../../sae/training/trainer-group.js';
import { isDead, owner } from '../owner.js';
import { readSnapshotFile } from '../snapshot-file.js';
import { removeOthers, take } from './claims.js';
import { GroupTraining, type GroupWork, type Running, type Taken } from './group-training.js';
import { readTrial, type StoredTrial } from './records.js';

/** What was left of a group. */
export interface GroupEnd {
  /** Trials that other workers have. */
  readonly busy: number;
  /** Trials that were given back. */
  readonly open: number;
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
    // Who ended it may have been killed before it had taken its other files away.
    if (claim === 'final') await removeOthers(store, name);
    if (typeof claim === 'string') continue;
    if (claim.state.attempts > mostAttempts) {
      const failure = `It was begun ${mostAttempts} times, and each time its worker ended before it had come further.`;
      if (await claim.write({ state: 'failed', failure, may_pass: true })) await removeOthers(store, name);
      continue;
    }
    taken.push({ claim, trial });
  }
  const folder = await temporaryFolder();
  try {
    const free = taken.filter(({ trial }) => !waiting.has(contestOf(trial)));
    await giveBack(taken.filter(({ trial }) => waiting.has(contestOf(trial))));
    await catchUp(free, work, folder);
    for (const { claim, trial } of free) if (claim.lost && trial.contest) waiting.add(contestOf(trial));
    await giveBack(free.filter((one) => isHeld(one) && waiting.has(contestOf(one.trial))));
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
    while (!work.signal.aborted && !rivals.some(({ claim }) => claim.lost)) {
      const left = rivals.filter(isHeld);
      const [least, next] = [...new Set(left.map(({ claim }) => claim.state.steps))].sort((a, b) => a - b);
      if (next === undefined) break;
      const behind = left.filter(({ claim }) => claim.state.steps === least);
      await sideBySide(behind, work, folder, next);
    }
  }
}

async function giveBack(taken: readonly Taken[]): Promise<void> {
  for (const { claim } of taken)
    await claim.write({ state: 'open', attempts: Math.max(0, claim.state.attempts - 1) });
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
    await taken[0].claim.write({ state: 'failed', failure: error.message, may_pass: true });
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
