import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ConfigError, DataError } from '../../sae/errors.js';
import type { SparsityName } from '../../sae/sparsity/index.js';
import { type Trial, trialId } from '../../sae/sweep/trials.js';
import type { Metrics } from '../../sae/training/metrics.js';
import type { LoadOptions } from '../data/datasets.js';
import type { Store } from '../store/store.js';
import { version } from '../version.js';

// What lies in a store:
//   sweeps/ID.json          what a sweep is to try, on which rows, in which groups; never changed
//   ended/SWEEP/N           a group of it of which nothing is left to do
//   trials/ID/trial.json    all that determines a trial's results, whose digest is its name; never changed
//   trials/ID/state.json    how far it is, and whose it is: every change is conditional on the state before
//   trials/ID/CLAIM-...     snapshots, metrics and model of one claim, written by its worker alone
//   workers/ID.json         a worker that lives renews it

/** Which rows a sweep is trained on. */
export interface SweepRows {
  readonly name: string;
  readonly rows: number;
  readonly in_dims: number;
  readonly fingerprint: string;
  /** Rows on the device at a time: on it depends in which order they are taken. Absent if all of them are. */
  readonly window_rows?: number | undefined;
}

/** The options by which rows are loaded. */
export type RowOptions = Partial<
  Pick<
    LoadOptions,
    | 'dataset'
    | 'data'
    | 'tensor'
    | 'rows_type'
    | 'normalize'
    | 'image_shape'
    | 'in_dims'
    | 'labels'
    | 'validation'
    | 'split'
    | 'nonfinite'
  >
>;

/** A trial as its store names it: its identity. */
export interface StoredTrial extends Trial {
  readonly engine: string;
  readonly rows: SweepRows;
  /** How the rows that it is measured on are held out, if they are. */
  readonly measured: object;
  /** Of a trial that ends where it is hopeless: the factor of the halving, and its rivals. */
  readonly contest?: { readonly halving: number; readonly rivals: readonly string[] };
}

export interface Sweep {
  readonly id: string;
  readonly engine: string;
  readonly date: string;
  /** As it was given, for people. */
  readonly command: readonly string[];
  readonly rows: SweepRows;
  readonly loading: RowOptions;
  readonly save_every: string;
  readonly halving?: number;
  /** The options in which its trials differ, by which people tell them apart. */
  readonly differing: readonly string[];
  /** The trials that train side by side, by their names. */
  readonly groups: readonly (readonly string[])[];
}

/** What a trial came to. */
export interface TrialResult {
  readonly metrics: Metrics<SparsityName>;
  /** Whether these are of held-out rows. */
  readonly held_out: boolean;
  readonly steps: number;
  /** Seconds of training; of trials side by side, together. */
  readonly seconds: number;
  readonly adapter: string;
  /** Where its model and the metrics of its epochs are in the store. */
  readonly model: string;
  readonly history: string;
}

/** How far a trial is. Open: nobody has it. Ended: it was hopeless. */
export interface TrialState {
  readonly state: 'open' | 'running' | 'done' | 'ended' | 'failed';
  /** Makes each version another one. */
  readonly write: string;
  /** The worker that has it, or had it. */
  readonly worker: string;
  /** How often it was taken. */
  readonly claims: number;
  /** The same since it last came further. */
  readonly attempts: number;
  readonly steps: number;
  readonly snapshot?: string;
  readonly result?: TrialResult;
  /** Why it failed. */
  readonly failure?: string;
  /** Whether the next attempt may go otherwise: nothing of the trial itself is known to be wrong. */
  readonly may_pass?: true;
}

const sweepShape = z.object({
  id: z.string(),
  engine: z.string(),
  rows: z.object({ fingerprint: z.string(), rows: z.number(), in_dims: z.number() }),
  differing: z.array(z.string()),
  groups: z.array(z.array(z.string()).min(1)),
});
const stateShape = z.object({
  state: z.enum(['open', 'running', 'done', 'ended', 'failed']),
  worker: z.string(),
  claims: z.number(),
  attempts: z.number(),
  steps: z.number(),
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const isFinal = ({ state }: Pick<TrialState, 'state'>): boolean =>
  state !== 'open' && state !== 'running';

export function bytesOf(value: object): Uint8Array {
  return encoder.encode(`${JSON.stringify(value, undefined, 1)}\n`);
}

/** @throws DataError if it is not JSON. */
export function jsonOf(bytes: Uint8Array, key: string, store: Store): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new DataError(`${key} in the store ${store.name} is no JSON. Restore it, or begin another store.`, {
      cause: error,
    });
  }
}

export const stateKey = (trial: string) => `trials/${trial}/state.json`;
const trialKey = (trial: string) => `trials/${trial}/trial.json`;
const sweepKey = (sweep: string) => `sweeps/${sweep}.json`;

export function identityOf(stored: StoredTrial): Promise<string> {
  const { rows, ...others } = stored;
  const { name: _, ...determining } = rows;
  return trialId({ ...others, rows: determining });
}

/**
 * Writes what a sweep is to try, unless it is there: the trials first, so that whoever finds the sweep finds these.
 * @param atOnce trials that are written at once.
 */
export async function writeSweep(
  store: Store,
  given: Omit<Sweep, 'id' | 'date' | 'engine'>,
  trials: ReadonlyMap<string, StoredTrial>,
  atOnce = 32,
): Promise<Sweep> {
  const { groups, loading, rows } = given;
  const id = `s${(await trialId({ groups, loading, rows, version })).slice(1, 9)}`;
  const there = await store.read(sweepKey(id));
  if (there) return sweepIn(there.bytes, store, id);
  const waiting = [...trials];
  const write = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [trial, stored] = next;
      await store.create(trialKey(trial), bytesOf(stored));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, write));
  const sweep: Sweep = { id, engine: version, date: new Date().toISOString(), ...given };
  // Another process may have written the same one just now.
  await store.create(sweepKey(id), bytesOf(sweep));
  return sweep;
}

/** @throws DataError if there is none, or it is of another version. */
export async function readSweep(store: Store, id: string): Promise<Sweep> {
  const found = await store.read(sweepKey(id));
  if (!found) throw new DataError(`There is no sweep ${id} in the store ${store.name}.`);
  return sweepIn(found.bytes, store, id);
}

/** @throws ConfigError if it is another version's: what that computes may differ. */
function sweepIn(bytes: Uint8Array, store: Store, id: string): Sweep {
  const json = jsonOf(bytes, sweepKey(id), store);
  if (!sweepShape.safeParse(json).success) {
    throw new DataError(
      `The sweep ${id} in the store ${store.name} is damaged. Restore it, or begin another store.`,
    );
  }
  const sweep = json as Sweep;
  if (sweep.engine !== version) {
    throw new ConfigError(
      `The sweep ${id} was begun by version ${sweep.engine} of webgpu-sae, and this is ${version}, whose results may differ. Use that version, or begin another sweep.`,
    );
  }
  return sweep;
}

/** The sweeps of a store, the newest last. */
export async function sweepsIn(store: Store): Promise<Sweep[]> {
  const sweeps: Sweep[] = [];
  for await (const key of store.list('sweeps/')) {
    const id = /^sweeps\/([^/]+)\.json$/.exec(key)?.[1];
    if (id !== undefined) sweeps.push(await readSweep(store, id));
  }
  return sweeps.sort((a, b) => (a.date < b.date ? -1 : 1));
}

/** @throws DataError if there is none. */
export async function readTrial(store: Store, trial: string): Promise<StoredTrial> {
  const found = await store.read(trialKey(trial));
  if (!found) throw new DataError(`There is no trial ${trial} in the store ${store.name}.`);
  return jsonOf(found.bytes, trialKey(trial), store) as StoredTrial;
}

/** Undefined if nobody has ever taken it. */
export async function readState(
  store: Store,
  trial: string,
): Promise<{ state: TrialState; version: string } | undefined> {
  const found = await store.read(stateKey(trial));
  if (!found) return undefined;
  const json = jsonOf(found.bytes, stateKey(trial), store);
  if (!stateShape.safeParse(json).success) {
    throw new DataError(`The state of trial ${trial} in the store ${store.name} is damaged. Restore it.`);
  }
  return { state: json as TrialState, version: found.version };
}

/** Text that nobody else writes. */
export function unique(): string {
  return randomBytes(8).toString('hex');
}
