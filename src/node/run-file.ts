import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { Tiles } from '../gpu/tuner.js';
import { ConfigError, EngineError } from '../sae/index.js';
import type { Trainer } from '../sae/trainer.js';
import { describeFileError } from './data/files.js';

/** Of this package, beside `src` in a checkout and beside `dist` in an installed one. */
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/**
 * Writes down as JSON what a run was: its configuration, data, adapter, driver, and the tile of every GEMM so far. With the
 * same tiles, on the same adapter and driver, it can be repeated bit for bit.
 * @param init the saved model that it began with.
 * @throws EngineError where the file cannot be written.
 */
export async function writeRunFile(file: string, trainer: Trainer, init?: string): Promise<void> {
  const { config, step } = trainer;
  const { model, dataset } = step;
  const { gpu } = model;
  const { vendor, architecture, device, description } = gpu.adapter.info;
  const { name, rows, normalization } = dataset;
  const run = {
    version,
    ...(init !== undefined && { init }),
    model: model.config,
    training: config,
    data: { name, rows, normalization },
    adapter: { vendor, architecture, device, driver: description },
    tiles: gpu.tuner.tiles,
  };
  try {
    await writeFile(file, `${JSON.stringify(run, null, 1)}\n`);
  } catch (error) {
    throw new EngineError(`${file} cannot be written: ${describeFileError(error)}.`, { cause: error });
  }
}

/** The tiles of a run that was written down. @throws ConfigError where the file holds none. */
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
      error instanceof SyntaxError ? 'is no JSON' : `cannot be read: ${describeFileError(error)}`,
      error,
    );
  }
  const { tiles } = run ?? {};
  if (typeof tiles !== 'object' || tiles === null) {
    throw wrong('has no tiles');
  }
  return tiles as Tiles;
}
