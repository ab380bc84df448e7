import { alternatives } from './array.js';
import type { RowFormat } from './file.js';
import { headed } from './headed.js';
import { idx } from './idx.js';
import { npy } from './npy.js';

/** The file formats of rows. Those listed here can be read everywhere, and are named in messages and help. */
export const rowFormats: readonly RowFormat[] = [headed(npy), headed(idx)];

/** The formats in a sentence: `.npy or IDX`. */
export const formatNames = alternatives(rowFormats.map(({ name }) => name));
