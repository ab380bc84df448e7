import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adapterKey, readEntries, writeEntry } from '../gpu/gemm/tuner.js';
import type { Gpu } from '../gpu/gpu.js';
import { cacheFolder } from './data/mnist.js';
import { shaderFolder } from './shaders.js';
import { cacheStore } from './tuning.js';
import { version } from './version.js';

/** What is stored for an adapter and driver: names of checks, for as long as the engine is the same. */
interface Entry {
  /** The version, and SHA-256 of all kernels' text. */
  readonly engine: string;
  readonly passed: readonly string[];
}

/** The file of the checks that adapters of this user have passed: see `checkDevice`. */
function checksFile(): string {
  return join(cacheFolder(), 'checks.json');
}

const store = cacheStore(checksFile);

/** The checks that this adapter has passed with this driver and engine. */
export async function passedChecks(gpu: Gpu): Promise<ReadonlySet<string>> {
  const entry = (await readEntries<Entry>(store))[adapterKey(gpu)];
  const current = entry?.engine === (await engine()) && Array.isArray(entry.passed);
  return new Set(current ? entry.passed : []);
}

/**
 * Stores checks that it has passed besides, and none in the place of those that it has failed. If the file cannot be written, they are made
 * again.
 */
export async function rememberPassed(
  gpu: Gpu,
  passed: readonly string[],
  failed: readonly string[] = [],
): Promise<void> {
  const all = new Set([...(await passedChecks(gpu)), ...passed]);
  for (const name of failed) all.delete(name);
  await writeEntry(store, gpu, { engine: await engine(), passed: [...all] } satisfies Entry);
}

let known: Promise<string> | undefined;

/** The engine, whose kernels are read once in a process. */
function engine(): Promise<string> {
  known ??= readEngine();
  return known;
}

async function readEngine(): Promise<string> {
  const names = await readdir(shaderFolder, { recursive: true });
  const files = names.filter((name) => name.endsWith('.wgsl')).sort();
  const texts = await Promise.all(
    files.map((file) => readFile(new URL(file.replaceAll('\\', '/'), shaderFolder))),
  );
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text);
  return `${version} ${hash.digest('hex')}`;
}
