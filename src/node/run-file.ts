import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Tiles } from '../gpu/gemm/tiles.js';
import { ConfigError, EngineError } from '../sae/index.js';
import { normalizationFields } from '../sae/model/saved-normalization.js';
import type { SparsityName } from '../sae/sparsity/index.js';
import type { Trainer } from '../sae/training/trainer.js';
import { describeFileError } from './data/files.js';
import { writeWhole } from './write-file.js';

/** The version of this package, whose package.json is beside `src` and `dist`. */
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/**
 * Writes the description of a run as JSON: its configuration, data, adapter, driver, and the tile of every GEMM so far.
 * With the same tiles, on the same adapter and driver, the run can be repeated bit for bit.
 * @param init the saved model from which it started.
 * @throws EngineError if the file cannot be written.
 */
export async function writeRunFile<S extends SparsityName>(
  file: string,
  trainer: Trainer<S>,
  init?: string,
): Promise<void> {
  const { config, step } = trainer;
  const { epochs: _, ...training } = config;
  const { model, source } = step;
  const { gpu } = model;
  const { vendor, architecture, device, description } = gpu.adapter.info;
  const { name, rows, normalization } = source.stored ?? source;
  const run = {
    version,
    ...(init !== undefined && { init }),
    model: model.config,
    // Epochs do not count where there are steps.
    training: config.steps === undefined ? config : training,
    data: { name, rows, normalization: normalizationFields(normalization) },
    adapter: { vendor, architecture, device, driver: description },
    tiles: gpu.tuner.tiles,
  };
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
