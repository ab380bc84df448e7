import { type LoadedDatasets, type LoadOptions, openDatasets, type Rows } from '../node/index.js';
import { count, type Reporter } from './reporter.js';

/** Milliseconds of reading after which a bar shows how far it is. */
const patience = 2000;

/** Shows on a bar how many rows were read, in each pass over them, where that takes long. */
export function readingBar(
  reporter: Pick<Reporter, 'startBar' | 'updateBar'>,
): NonNullable<LoadOptions['onRows']> {
  let began = performance.now();
  let before = Number.POSITIVE_INFINITY;
  let shown = false;
  return (done, all) => {
    if (done < before) {
      began = performance.now();
      shown = false;
    }
    before = done;
    const milliseconds = performance.now() - began;
    if (milliseconds < patience) return;
    if (!shown) reporter.startBar(all ?? 0, 'reading rows');
    shown = true;
    const label = all === undefined ? `${count(done)} rows read` : 'reading rows';
    reporter.updateBar(done, label, `${count((1000 * done) / milliseconds)} rows/s`);
  };
}

/** Loads data sets, with a progress bar for downloads, and for reading that takes long. */
export async function loadWithBar(reporter: Reporter, options: LoadOptions): Promise<LoadedDatasets<Rows>> {
  let current: string | undefined;
  const began = performance.now();
  try {
    const loaded = await openDatasets({
      ...options,
      onNote: (note) => reporter.warn(note),
      onRows: readingBar(reporter),
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
