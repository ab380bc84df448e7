import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adapterKey } from '../gpu/gemm/tuner.js';
import type { Gpu } from '../gpu/gpu.js';
import { cacheFolder } from './data/mnist.js';
import { makeFolder } from './folder.js';
import { shaderFolder } from './shaders.js';
import { version } from './version.js';
import { writeWhole } from './write-file.js';

/** What is stored for an adapter and driver: names of checks, for as long as the engine is the same. */
interface Entry {
  /** The version, and SHA-256 of all kernels' text. */
  readonly engine: string;
  readonly passed: readonly string[];
}

/** How many adapters are stored: the latest ones. */
const mostAdapters = 16;

/** The file of the checks that adapters of this user have passed: see `checkDevice`. */
export function checksFile(): string {
  return join(cacheFolder(), 'checks.json');
}

/** The checks that this adapter has passed with this driver and engine. */
export async function passedChecks(gpu: Gpu): Promise<ReadonlySet<string>> {
  const entry = (await readAll())[adapterKey(gpu)];
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
  const key = adapterKey(gpu);
  const others = Object.entries(await readAll()).filter(([other]) => other !== key);
  const entry = { engine: await engine(), passed: [...all] };
  const entries = Object.fromEntries([...others.slice(-(mostAdapters - 1)), [key, entry]]);
  try {
    await makeFolder(cacheFolder());
    const text = `${JSON.stringify(entries, null, 1)}\n`;
    await writeWhole(checksFile(), [Buffer.from(text)], (why) => new Error(why));
  } catch {
    // See above.
  }
}

/** All entries; none if the file is missing or damaged, and it is then overwritten. */
async function readAll(): Promise<Record<string, Partial<Entry> | undefined>> {
  try {
    const all: unknown = JSON.parse(await readFile(checksFile(), 'utf8'));
    return typeof all === 'object' && all !== null && !Array.isArray(all)
      ? (all as Record<string, Partial<Entry> | undefined>)
      : {};
  } catch {
    return {};
  }
}

async function engine(): Promise<string> {
  const names = await readdir(shaderFolder, { recursive: true });
  const files = names.filter((name) => name.endsWith('.wgsl')).sort();
  const texts = await Promise.all(
    files.map((file) => readFile(new URL(file.replaceAll('\\', '/'), shaderFolder))),
  );
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text);
  return `${version} ${hash.digest('hex')}`;
}
