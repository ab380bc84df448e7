import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TuningStore } from '../gpu/gemm/tuner.js';
import { cacheFolder } from './data/mnist.js';
import { makeFolder } from './folder.js';
import { writeWhole } from './write-file.js';

/** The file of the tiles that were found fastest, for every adapter of this user. */
export function tuningFile(): string {
  return join(cacheFolder(), 'tuning.json');
}

/** Reads and writes a file of the cache. If it cannot be written, what would be in it is found out again by the next run. */
export function cacheStore(file: () => string): TuningStore {
  return {
    async read() {
      return readFile(file(), 'utf8').catch(() => undefined);
    },
    async write(text) {
      try {
        await makeFolder(cacheFolder());
        await writeWhole(file(), [Buffer.from(text)], (why) => new Error(why));
      } catch {
        // See above.
      }
    },
  };
}

export const tuningStore: TuningStore = cacheStore(tuningFile);
