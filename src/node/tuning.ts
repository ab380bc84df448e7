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

/** Reads and writes that file. If it cannot be written, the next run times the tiles again. */
export const tuningStore: TuningStore = {
  async read() {
    return readFile(tuningFile(), 'utf8').catch(() => undefined);
  },
  async write(text) {
    try {
      await makeFolder(cacheFolder());
      await writeWhole(tuningFile(), [Buffer.from(text)], (why) => new Error(why));
    } catch {
      // See above.
    }
  },
};
