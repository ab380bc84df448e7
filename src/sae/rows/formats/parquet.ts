import type { RowFormat } from './file.js';

const magic = new TextEncoder().encode('PAR1');

/** Parquet: a column of lists is the rows, or columns of numbers. */
export const parquet: RowFormat = {
  name: 'Parquet',
  article: 'a',
  endings: /\.parquet$/i,
  named: true,
  recognizes: (head) => magic.every((byte, i) => head[i] === byte),
  // Loaded where such a file is read only.
  open: async (file, options) => (await import('./parquet-rows.js')).openParquet(file, options),
};
