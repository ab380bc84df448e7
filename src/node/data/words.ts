import { fileURLToPath } from 'node:url';
import type { Dataset, ImageShape } from '../../sae/rows/dataset.js';
import type { DecodeOptions } from '../../sae/rows/decode.js';
import type { NormalizeOption } from '../../sae/rows/normalize.js';
import { readDataset } from './read.js';

/** Values per row of `words-10k`. */
export const wordWidth = 100;

/**
 * The vectors of the 10,000 most frequent words, in the order of their frequency, with the words as labels. Their folder
 * is found from `src/node/data` and from `dist/node/data`.
 */
export function readWords10k(
  normalize?: NormalizeOption,
  image_shape?: ImageShape,
  onNote?: DecodeOptions['onNote'],
): Promise<Dataset> {
  const path = (name: string) => fileURLToPath(new URL(`../../../data/${name}`, import.meta.url));
  const name = 'words-10k';
  const labels = path('words-10k.txt');
  const own = { in_dims: wordWidth, image_shape, normalize, name, labels };
  return readDataset(path('words-10k.npy'), { ...own, ...(onNote && { onNote }) });
}
