import { resolve } from 'node:path';
import { identityOf, type RowOptions, type StoredTrial, type SweepRows } from '../../node/fleet/records.js';
import {
  batchesOf,
  ConfigError,
  classes,
  contestOf,
  fingerprint,
  groupsOf,
  isPipe,
  type LoadOptions,
  parseSweep,
  type Rows,
  type SweepSettings,
  sweepWindow,
  trialsOf,
} from '../../node/index.js';
import { version } from '../../node/version.js';
import { loadWithBar } from '../data.js';
import type { Reporter } from '../reporter.js';
import { triedNames } from './sweep-file.js';

/** The options that say what a sweep tries, and on which rows. */
export interface PlanValues extends Omit<LoadOptions, 'data' | 'normalize'> {
  readonly data?: readonly string[];
  readonly normalize?: string;
  readonly save_every: string;
  readonly side_by_side?: number;
}

/** What a sweep is to try: what its record has, and its trials by their names. */
export interface SweepPlan {
  readonly settings: SweepSettings;
  readonly rows: SweepRows;
  readonly loading: RowOptions;
  readonly trials: ReadonlyMap<string, StoredTrial>;
  readonly groups: readonly (readonly string[])[];
  /** The rows themselves, for estimates and reports. */
  readonly loaded: { readonly train: Rows; readonly validation?: Rows };
}

/** What is tried: the options among those that were given. @throws ConfigError. */
export function settingsOf(given: Readonly<Record<string, unknown>>): SweepSettings {
  return parseSweep(given);
}

/** What to try of the values that were given by their names, some of which are other options. */
export function triedOf(values: object, given: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(
      ([name]) =>
        given.has(name) && (triedNames.has(name) || ['grids', 'seeds', 'random', 'halving'].includes(name)),
    ),
  );
}

/** Reads the rows, and makes the trials. @param processes that train them, each of which is to have a group. @throws ConfigError, DataError. */
export async function planSweep(
  settings: SweepSettings,
  values: PlanValues,
  processes: number,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<SweepPlan> {
  const { dataset, data, tensor, rows_type, normalize, image_shape, labels, validation, split, nonfinite } =
    values;
  const pipe = [data ?? [], validation ?? []].flat().find(isPipe);
  if (pipe !== undefined) {
    throw new ConfigError(
      `The rows of a sweep are read again and again, and those of ${pipe} come once. Write them into a file.`,
    );
  }
  const loading: RowOptions = defined({
    dataset: data === undefined ? dataset : undefined,
    data: data?.map(absolute),
    tensor,
    rows_type,
    normalize,
    image_shape,
    labels: labels === undefined ? undefined : absolute(labels),
    validation: validation === undefined ? undefined : [validation].flat().map(absolute),
    split,
    nonfinite,
  });
  const loaded = await loadWithBar(reporter, { ...values, signal });
  if (loaded.fellBack) {
    reporter.warn(`${loaded.fellBack}.`);
    Object.assign(loading, { dataset: 'mnist-10k' });
  } else if (loading.dataset === 'auto') Object.assign(loading, { dataset: 'mnist' });
  const { train } = loaded;
  const rows: SweepRows = {
    name: train.name,
    rows: train.rows,
    in_dims: train.in_dims,
    fingerprint: await fingerprint(train),
    ...sweepWindow(train, values.window),
  };
  const made = trialsOf(settings, {
    in_dims: train.in_dims,
    batchesOf: (batch_size) => batchesOf(train.rows, batch_size),
  });
  const measured = defined({ split, validation: loading.validation, normalize });
  const stored = made.map((trial): StoredTrial => ({ engine: version, rows, measured, ...trial }));
  const groups: string[][] = [];
  const trials = new Map<string, StoredTrial>();
  for (const group of groupsOf(stored, processes, values.side_by_side)) {
    const contested = settings.halving === undefined ? group : await withRivals(group, settings.halving);
    const names: string[] = [];
    for (const trial of contested) {
      const name = await identityOf(trial);
      trials.set(name, trial);
      names.push(name);
    }
    groups.push(names);
  }
  return { settings, rows, loading, trials, groups, loaded };
}

/** Trials of a group with their rivals in it, if they have some. */
async function withRivals(group: readonly StoredTrial[], halving: number): Promise<StoredTrial[]> {
  const contested = new Map<StoredTrial, StoredTrial>();
  for (const contest of classes(group, contestOf)) {
    const rivals = await Promise.all(contest.map(identityOf));
    for (const trial of contest) {
      contested.set(trial, contest.length > 1 ? { ...trial, contest: { halving, rivals } } : trial);
    }
  }
  return group.map((trial) => contested.get(trial)!);
}

/** A path as other processes find it; addresses stay. */
function absolute(path: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ? path : resolve(path);
}

/** Without what is undefined. */
function defined<T extends object>(value: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}
