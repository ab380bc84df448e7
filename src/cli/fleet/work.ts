import { availableParallelism } from 'node:os';
import { type Group, groupOf, markEnded, StoreGroups } from '../../node/fleet/groups.js';
import { type RowOptions, readSweep, type Sweep } from '../../node/fleet/records.js';
import { Deaths, usualLease } from '../../node/fleet/sessions.js';
import {
  adapterNamed,
  ConfigError,
  describeAdapters,
  EngineError,
  type OpenOptions,
} from '../../node/index.js';
import { openQueue, type Queue, type TakenJob } from '../../node/queue/queue.js';
import type { Store } from '../../node/store/store.js';
import type { Reporter } from '../reporter.js';
import { Slot, type SlotEnd, type SlotEvents } from './slot.js';

type Progress = Parameters<SlotEvents['progress']>[0];

/** A group that a worker has taken. */
export interface TakenGroup {
  readonly store: Store;
  readonly group: Group;
  /** Aborted when it is another worker's. */
  readonly lost?: AbortSignal;
  /** Told how far its trials are. */
  progress?(progress: Progress): void;
  /** To be called when the work on it has ended. */
  ended(how: SlotEnd): Promise<void>;
}

/** What hands out groups. */
export interface GroupSource {
  /** Undefined if there are no more, or the signal ends the waiting. */
  take(signal: AbortSignal): Promise<TakenGroup | undefined>;
}

/** How a worker opens its adapters. */
export interface Workers {
  readonly source: GroupSource;
  /** Parts of the names of adapters; one that is undefined is the preferred one. */
  readonly adapters: readonly (string | undefined)[];
  readonly opening: OpenOptions;
  readonly rows: RowOptions;
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  readonly events: Pick<SlotEvents, 'progress'> & { ended(taken: TakenGroup): Promise<void> };
}

/** Failures in a row after which a process is not begun again. */
const mostFailures = 5;

/** Trains groups, with a process for each adapter, until there are none. @throws the failure that ended it, if one did. */
export async function work({ adapters, ...others }: Workers): Promise<void> {
  const ending = new AbortController();
  const signal = AbortSignal.any([others.signal, ending.signal]);
  const results = await Promise.allSettled(
    adapters.map((adapter) =>
      workOn(adapter, { ...others, signal }).catch((error) => {
        // What is asked for cannot be, on any adapter.
        if (error instanceof ConfigError) ending.abort();
        throw error;
      }),
    ),
  );
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

async function workOn(
  adapter: string | undefined,
  { source, opening, rows, signal, reporter, events }: Omit<Workers, 'adapters'>,
): Promise<void> {
  const name = adapter ?? 'the preferred adapter';
  const slots = new Map<Store, Slot>();
  const slotOf = (store: Store) => {
    const made =
      slots.get(store) ??
      new Slot(store, name, lease(), {
        progress: (progress) => {
          current?.progress?.(progress);
          events.progress(progress);
        },
        line: (line) => reporter.line(line),
        warn: (sentence) => reporter.warn(sentence),
      });
    slots.set(store, made);
    return made;
  };
  let failures = 0;
  let current: TakenGroup | undefined;
  try {
    while (!signal.aborted) {
      const taken = await source.take(signal);
      if (!taken) return;
      current = taken;
      const { store, group } = taken;
      const job = {
        store: store.name,
        sweep: group.sweep.id,
        trials: group.trials,
        opening: { ...opening, adapter },
        rows,
      };
      const how = await slotOf(store).train(job, taken.lost ? AbortSignal.any([signal, taken.lost]) : signal);
      await taken.ended(how);
      await events.ended(taken);
      failures = 'failure' in how ? failures + 1 : 0;
      if ('failure' in how) {
        if (how.failure instanceof ConfigError || failures === mostFailures) throw how.failure;
        reporter.warn(`${how.failure.message} Its trials go on from where they were saved.`);
      }
    }
  } finally {
    for (const slot of slots.values()) slot.close();
  }
}

/** Whether nothing is left to do of a group. */
const isOver = (how: SlotEnd) => !('failure' in how) && how.busy === 0 && how.open === 0;

/** The groups of a sweep, by what its store says. @param only some of them. */
export function groupsInStore(store: Store, sweep: Sweep, only?: readonly number[]): GroupSource {
  const groups = new StoreGroups(store, sweep, new Deaths(store, true), lease(), only);
  return {
    async take(signal) {
      const group = await groups.take(signal);
      return group && { store, group, ended: (how) => groups.returned(group, isOver(how)) };
    },
  };
}

/** Opens the queue that hands out groups. @throws as `openQueue`. */
export function queueOf(url: string, reporter: Reporter): Promise<Queue> {
  const lock = lease();
  return openQueue(url, { onNote: (note) => reporter.warn(note), ...(lock && { lock }) });
}

/** Leases for which a worker waits for a group that another one has: if that is dead, this shows after the first one. */
const patience = 2;

/** The groups that a queue hands out. @param openStore opens the store that a job names. */
export function groupsInQueue(queue: Queue, openStore: (name: string) => Promise<Store>): GroupSource {
  // Sweeps never change, and are as long as they have trials.
  const sweeps = new Map<string, Promise<Sweep>>();
  const deaths = new Map<Store, Deaths>();
  const take = async (job: TakenJob, signal: AbortSignal): Promise<TakenGroup | undefined> => {
    const {
      store: name,
      sweep: id,
      group: index,
    } = job.data as { store: string; sweep: string; group: number };
    const store = await openStore(name);
    const key = `${name} ${id}`;
    const reading = sweeps.get(key) ?? readSweep(store, id);
    sweeps.set(key, reading);
    reading.catch(() => sweeps.delete(key));
    const sweep = await reading;
    const seen = deaths.get(store) ?? new Deaths(store, true);
    deaths.set(store, seen);
    const held = heldJob(job, store, groupOf(sweep, index));
    const late = AbortSignal.timeout(patience * (lease() ?? usualLease));
    const ended = AbortSignal.any([signal, held.lost, late]);
    if (await new StoreGroups(store, sweep, seen, lease(), [index]).take(ended)) return held;
    if (!ended.aborted) await held.ended({ busy: 0, open: 0 });
    else await held.ended(signal.aborted ? { busy: 0, open: 1 } : { busy: 1, open: 0 });
    return undefined;
  };
  return {
    async take(signal) {
      while (!signal.aborted) {
        const job = await queue.take(signal);
        if (!job) return undefined;
        try {
          const taken = await take(job, signal);
          if (taken) return taken;
        } catch (error) {
          await failed(job, error as Error);
          throw error;
        }
      }
      return undefined;
    },
  };
}

/** Says that the work on a job failed; what this worker alone cannot do, since it was set up otherwise, is left to others. */
async function failed(job: TakenJob, error: Error): Promise<void> {
  if (error instanceof ConfigError) await job.giveBack();
  else await job.failed(error.message);
}

function heldJob(job: TakenJob, store: Store, group: Group): TakenGroup & { readonly lost: AbortSignal } {
  const lost = new AbortController();
  let progress: Progress = {};
  const keep = async () => {
    if (!(await job.renew())) {
      clearInterval(timer);
      lost.abort();
    }
    const all = Object.values(progress);
    const sum = (key: 'steps' | 'of') => all.reduce((total, one) => total + one[key], 0);
    if (all.length > 0) await job.progress({ done: sum('steps'), of: sum('of') });
  };
  const timer = setInterval(keep, (lease() ?? usualLease) / 4);
  return {
    store,
    group,
    lost: lost.signal,
    progress: (told) => {
      progress = told;
    },
    async ended(how) {
      try {
        if (lost.signal.aborted) return;
        if ('failure' in how) await failed(job, how.failure);
        else if (isOver(how)) {
          await markEnded(store, group.sweep.id, group.index);
          await job.done();
        } else await job.giveBack(how.busy > 0 ? (lease() ?? usualLease) : 0);
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/**
 * Processes of a software adapter, at most: a step of a small model does not keep two cores at work, and two that run at the same time do. Each
 * has rows of its own in memory.
 */
const mostOnProcessor = 4;

/** The names of the adapters to work with, one for each process; undefined is the preferred one. @throws ConfigError, NoAdapterError. */
export async function adaptersOf(names: string | undefined): Promise<(string | undefined)[]> {
  if (names === undefined) {
    const preferred = (await describeAdapters()).find(({ used }) => used);
    const processes = preferred?.software ? Math.min(mostOnProcessor, availableParallelism()) : 1;
    return new Array(processes).fill(undefined);
  }
  if (names.trim() === 'all') {
    const all = (await describeAdapters()).map(({ name }) => name);
    if (all.length === 0) throw new EngineError('No WebGPU adapter was found.');
    const twice = all.find((name, i) => all.indexOf(name) !== i);
    if (twice !== undefined) {
      throw new ConfigError(
        `Several adapters are called ${twice}, and Dawn opens only the first of that name. Begin a worker for each with the environment of its driver that shows one of them, and without adapters.`,
      );
    }
    return all;
  }
  const listed = names.split(',').map((name) => name.trim());
  if (listed.some((name) => name === '')) {
    throw new ConfigError(
      `adapters is "${names}"; expected all, or parts of names with commas between them.`,
    );
  }
  for (const name of listed) await adapterNamed(name);
  return listed;
}

/** Milliseconds after which a silent worker counts as dead, if that is another time than usual. @throws ConfigError. */
export function lease(): number | undefined {
  const seconds = process.env.SAE_LEASE;
  if (seconds === undefined) return undefined;
  const value = Number(seconds);
  if (!(value >= 1))
    throw new ConfigError(`SAE_LEASE is "${seconds}"; expected a number of seconds of at least 1.`);
  return 1000 * value;
}
