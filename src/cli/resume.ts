import { type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describeFileError } from '../node/data/files.js';
import {
  ConfigError,
  DataError,
  fingerprint,
  type Rows,
  readSnapshotFile,
  type SavedSnapshot,
  type SparsityName,
} from '../node/index.js';
import type { Reporter } from './reporter.js';
import { type RunState, unpackState } from './run-state.js';
import { snapshotName } from './snapshots.js';

/** A run that goes on from its snapshot. */
export interface Resumed {
  readonly file: string;
  /** Which file that was: another one takes its place when the run is saved again. */
  readonly which: string;
  readonly saved: SavedSnapshot<SparsityName>;
  readonly state: RunState;
}

/** Options that say how a run is shown and where it is kept, not what it computes: they may be others when it goes on. */
const free: ReadonlySet<string> = new Set([
  'resume',
  'save_every',
  'quiet',
  'json',
  'watch',
  'adapter',
  'tune',
  'files_dir',
  'images_dir',
  'save_model',
  'save_plots',
  'num_samples',
  'features',
  'step_metrics',
  'epoch_metrics',
  'tensorboard',
  'data_dir',
  'download_mnist',
  'on_divergence',
]);

/** Of these, the ones that are not taken over from the run's beginning. */
const ofNow: ReadonlySet<string> = new Set(['resume', 'quiet', 'json', 'watch', 'files_dir']);

/** What `--resume` needs of the options. */
interface ResumeValues {
  readonly resume?: string | true;
  readonly files_dir: string;
  readonly save_every?: string;
}

/**
 * Reads the snapshot that `--resume` names. Undefined if there is none yet, and the run saves one: so the same command begins a run, and
 * goes on with it.
 * @throws DataError if it cannot be read.
 */
export async function readResumed(
  { resume, files_dir, save_every }: ResumeValues,
  reporter: Reporter,
): Promise<Resumed | undefined> {
  const own = join(files_dir, snapshotName);
  const named = resume === true ? files_dir : resume!;
  const isFolder = statusOf(named)?.isDirectory() ?? resolve(named) === resolve(files_dir);
  const file = isFolder ? join(named, snapshotName) : named;
  if (!statusOf(file)) {
    if (save_every !== undefined && resolve(file) === resolve(own)) {
      reporter.warn(`There is no ${file} yet, so the training begins.`);
      return undefined;
    }
    throw new DataError(
      `There is no ${file} to go on from. A training with --save_every leaves one in its --files_dir; or name it: --resume PATH.`,
    );
  }
  return readResumedFile(file);
}

/** @throws DataError if it cannot be read. */
export async function readResumedFile(file: string): Promise<Resumed> {
  const which = whichIs(file);
  const saved = await readSnapshotFile<SparsityName>(file);
  return { file, which, saved, state: unpackState(saved, file) };
}

/**
 * To be called once the run has its folder: the one that it goes on from may have ended just now.
 * @throws DataError if the snapshot is another one than was read.
 */
export function checkSame({ file, which }: Resumed): void {
  if (whichIs(file) !== which) {
    throw new DataError(
      `The run of ${file} was at work until a moment ago, and saved it again. Give the command again.`,
    );
  }
}

function whichIs(file: string): string {
  const { ino, mtimeMs, size } = statusOf(file) ?? {};
  return `${ino} ${mtimeMs} ${size}`;
}

/** Undefined where there is nothing. @throws DataError if that cannot be told. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A part of the path is a file.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw new DataError(`The snapshot ${path} cannot be read: ${describeFileError(error)}.`, {
      cause: error,
    });
  }
}

/**
 * The options of a run that goes on: those with which it was begun, and what may differ as given now.
 * @param standards the defaults of all options.
 * @throws ConfigError that names those that differ and may not.
 */
export function optionsOfResumed<V extends ResumeValues>(
  { file, saved, state }: Resumed,
  values: V,
  given: ReadonlySet<string>,
  standards: Readonly<Record<string, unknown>>,
): { values: V; given: ReadonlySet<string> } {
  const { model, training } = saved.snapshot;
  // What was asked for counts: the learning rate may have been halved.
  const before: Readonly<Record<string, unknown>> = { ...standards, ...model, ...training, ...state.options };
  const now = values as unknown as Readonly<Record<string, unknown>>;
  const different = [...given].filter(
    (name) => !free.has(name) && JSON.stringify(now[name]) !== JSON.stringify(before[name]),
  );
  if (different.length > 0) {
    const words = different.map(
      (name) => `${name} is ${shownValue(now[name])} and was ${shownValue(before[name])}`,
    );
    throw new ConfigError(
      `The run of ${file} goes on as it was begun, and some options differ: ${words.join('; ')}. Leave them out, or begin a ` +
        `new run with its model: --init ${file}.`,
    );
  }
  const kept = Object.entries(state.options).filter(([name]) => !given.has(name) && !ofNow.has(name));
  const files_dir = given.has('files_dir') ? values.files_dir : dirname(file);
  return {
    values: { ...values, ...Object.fromEntries(kept), files_dir },
    given: new Set([...given, ...kept.map(([name]) => name)]),
  };
}

/** @throws DataError if rows are not those of the snapshot. */
export async function checkFingerprint({ file, saved }: Resumed, rows: Rows): Promise<void> {
  const { rows: count } = saved.snapshot;
  const why =
    rows.rows !== count
      ? `there are ${rows.rows.toLocaleString('en')}, and there were ${count.toLocaleString('en')}`
      : (await fingerprint(rows)) !== saved.fingerprint && 'their fingerprints differ';
  if (why) {
    throw new DataError(
      `The rows of ${rows.name} are not those of the run of ${file}: ${why}. Give it the same rows, or begin a new run with its ` +
        `model: --init ${file}.`,
    );
  }
}

function shownValue(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'not given');
}
