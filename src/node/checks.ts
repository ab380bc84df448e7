import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassedChecks } from '../sae/index.js';
import { cacheFolder } from './data/mnist.js';
import { shaderFolder } from './shaders.js';
import { cacheStore } from './tuning.js';
import { version } from './version.js';

/** The file of the checks that adapters of this user have passed: see `checkDevice`. */
function checksFile(): string {
  return join(cacheFolder(), 'checks.json');
}

let known: Promise<string> | undefined;

/** The checks that adapters of this user have passed with the kernels of this version, which are read once in a process. */
export const passedChecks = new PassedChecks(cacheStore(checksFile), () => {
  known ??= readEngine();
  return known;
});

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
