import { type LoadedDatasets, type LoadOptions, openDatasets, type Rows } from '../node/index.js';
import type { Reporter } from './reporter.js';

/** Loads data sets, with a progress bar for downloads. */
export async function loadWithBar(reporter: Reporter, options: LoadOptions): Promise<LoadedDatasets<Rows>> {
  let current: string | undefined;
  const began = performance.now();
  try {
    const loaded = await openDatasets({
      ...options,
      onNote: (note) => reporter.warn(note),
      onProgress: (name, done, bytes) => {
        if (name !== current) {
          current = name;
          reporter.startBar(bytes, name);
        }
        const seconds = (performance.now() - began) / 1000;
        reporter.updateBar(done, name, `${(done / 1e6 / seconds).toFixed(1)} MB/s`);
      },
    });
    for (const sentence of [loaded.otherFile, loaded.missingValidation]) {
      if (sentence) {
        reporter.warn(sentence);
      }
    }
    return loaded;
  } finally {
    reporter.stopBar();
  }
}
