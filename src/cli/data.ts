import { type LoadedDatasets, type LoadOptions, loadDatasets } from '../node/index.js';
import type { Reporter } from './reporter.js';

/** Loads data sets with a bar for what is downloaded. */
export async function loadWithBar(reporter: Reporter, options: LoadOptions): Promise<LoadedDatasets> {
  let current: string | undefined;
  const began = performance.now();
  try {
    const loaded = await loadDatasets({
      ...options,
      onProgress: (name, done, bytes) => {
        if (name !== current) {
          current = name;
          reporter.startBar(bytes, name);
        }
        const seconds = (performance.now() - began) / 1000;
        reporter.updateBar(done, name, `${(done / 1e6 / seconds).toFixed(1)} MB/s`);
      },
    });
    if (loaded.missingValidation) {
      reporter.warn(loaded.missingValidation);
    }
    return loaded;
  } finally {
    reporter.stopBar();
  }
}
