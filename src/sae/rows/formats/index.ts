import { alternatives, type RowFormat } from './array.js';
import { idx } from './idx.js';
import { npy } from './npy.js';

/** The file formats of rows. Those listed here can be read everywhere, and are named in messages and help. */
export const rowFormats: readonly RowFormat[] = [npy, idx];

/** The formats in a sentence: `.npy or IDX`. */
export const formatNames = alternatives(rowFormats.map(({ name }) => name));
