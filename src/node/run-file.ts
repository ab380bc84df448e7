import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Tiles } from '../gpu/gemm/tiles.js';
import type { ModelConfig, TrainConfig } from '../sae/config.js';
import { ConfigError, EngineError } from '../sae/index.js';
import { normalizationFields } from '../sae/model/saved-normalization.js';
import type { SparsityName } from '../sae/sparsity/index.js';
import type { Trainer } from '../sae/training/trainer.js';
import { describeFileError } from './data/files.js';
import { version } from './version.js';
import { writeWhole } from './write-file.js';

/** Steps that a run did and gave up, when it went back to a snapshot or to its beginning. */
export interface GivenUp {
  /** The first and the last of them. */
  readonly steps: readonly [number, number];
  /** The epochs that had ended meanwhile. */
  readonly epochs: readonly number[];
  readonly why: string;
}

/** A run's configuration, data, adapter and driver, and the tile of every GEMM so far. */
export interface RunRecord {
  readonly version: string;
  /** The words of the command, without the program's name; absent in files of older versions, as the date. */
  readonly command?: readonly string[];
  /** When its process began, ISO 8601. */
  readonly date?: string;
  /** Where it went on from a snapshot, if it did. */
  readonly resumed?: readonly {
    readonly date: string;
    readonly step: number;
    readonly adapter: string;
    readonly lr: number;
  }[];
  /** What was given up of it, if anything: metrics.jsonl has the epochs that took its place. */
  readonly given_up?: readonly GivenUp[];
  /** The saved model from which it started. */
  readonly init?: string;
  readonly model: ModelConfig;
  readonly training: Partial<TrainConfig<SparsityName>>;
  readonly data: { readonly name: string; readonly rows: number; readonly normalization: object };
  readonly adapter: {
    readonly name?: string;
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly driver: string;
  };
  readonly tiles: Tiles;
  /** SHA-256 of the model's file, in hexadecimal digits, once the run has saved one. */
  readonly saved?: string;
}

/** The record of a run. @param init as of `writeRunFile`, as is `command`. */
export function runRecord<S extends SparsityName>(
  trainer: Trainer<S>,
  init?: string,
  command?: readonly string[],
): RunRecord {
  const { config, step } = trainer;
  const { epochs: _, ...training } = config;
  const { model, source } = step;
  const { gpu } = model;
  const { vendor, architecture, device, description } = gpu.adapter.info;
  const { name, rows, normalization } = source.stored ?? source;
  return {
    version,
    ...(command && { command }),
    date: new Date(performance.timeOrigin).toISOString(),
    ...(init !== undefined && { init }),
    model: model.config,
    // Epochs do not count where there are steps.
    training: config.steps === undefined ? config : training,
    data: { name, rows, normalization: normalizationFields(normalization) },
    adapter: { name: gpu.name, vendor, architecture, device, driver: description },
    tiles: gpu.tuner.tiles,
  };
}

/**
 * Writes the record of a run as JSON. With the same tiles, on the same adapter and driver, the run can be repeated bit for bit.
 * @param init the saved model from which it started. @param command the words of its command, without the program's name.
 * @throws EngineError if the file cannot be written.
 */
export async function writeRunFile<S extends SparsityName>(
  file: string,
  trainer: Trainer<S>,
  init?: string,
  command?: readonly string[],
): Promise<RunRecord> {
  const run = runRecord(trainer, init, command);
  await writeRunRecord(file, run);
  return run;
}

/**
 * Adds to a run's record which model it has saved, so that the record of another run is not taken for that of the model.
 * @throws EngineError if the file cannot be written.
 */
export async function recordSaved(file: string, run: RunRecord, model: string): Promise<void> {
  const saved = await sha256(model).catch((error) => {
    throw new EngineError(`The model ${model} cannot be read again: ${describeFileError(error)}.`, {
      cause: error,
    });
  });
  await writeRunRecord(file, { ...run, saved });
}

/** SHA-256 of a file in hexadecimal digits. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Writes a record as JSON. @throws EngineError if the file cannot be written. */
export async function writeRunRecord(file: string, run: RunRecord): Promise<void> {
  await writeWhole(file, [Buffer.from(`${JSON.stringify(run, null, 1)}\n`)], (why, cause) => {
    return new EngineError(`${file} cannot be written: ${why}.`, { cause });
  });
}

/** Whether this program wrote a run.json that begins so. */
export function isOurRunFile(content: Uint8Array): boolean {
  try {
    const run = JSON.parse(new TextDecoder().decode(content));
    return 'version' in run && 'tiles' in run;
  } catch {
    return false;
  }
}

/** The tiles in the file of a run. @throws ConfigError if it has none. */
export async function readTiles(file: string): Promise<Tiles> {
  const wrong = (why: string, cause?: unknown) =>
    new ConfigError(
      `tune must be off, quick, full or the run.json of an earlier run, and is ${file}, which ${why}.`,
      { cause },
    );
  let run: { tiles?: unknown };
  try {
    run = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw wrong(
      error instanceof SyntaxError ? 'is not JSON' : `cannot be read: ${describeFileError(error)}`,
      error,
    );
  }
  const { tiles } = run ?? {};
  if (typeof tiles !== 'object' || tiles === null) {
    throw wrong('has no tiles');
  }
  return tiles as Tiles;
}
