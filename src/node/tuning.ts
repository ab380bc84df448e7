import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { TuningStore } from '../gpu/tuner.js';
import { cacheFolder } from './data/mnist.js';
import { makeFolder } from './folder.js';

/** Where the tiles that were found fastest are kept, for every adapter of this user. */
export function tuningFile(): string {
  return join(cacheFolder(), 'tuning.json');
}

/** Keeps them there. A folder that cannot be written costs the next run some timing again, and nothing else. */
export const tuningStore: TuningStore = {
  async read() {
    return readFile(tuningFile(), 'utf8').catch(() => undefined);
  },
  async write(text) {
    try {
      await makeFolder(cacheFolder());
      await writeFileAtomic(tuningFile(), text);
    } catch {
      // As said above.
    }
  },
};
