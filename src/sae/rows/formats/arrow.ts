import type { RowFormat } from './file.js';

const fileStart = new TextEncoder().encode('ARROW1');

/** Arrow: streams, and files as those of Feather's second version. A column of lists is the rows, or columns of numbers. */
export const arrow: RowFormat = {
  name: 'Arrow',
  article: 'an',
  endings: /\.(arrows?|feather)$/i,
  named: true,
  // A stream begins with a mark and a message's length.
  recognizes: (head) =>
    fileStart.every((byte, i) => head[i] === byte) ||
    (head[7] === 0 && head.subarray(0, 4).every((byte) => byte === 0xff)),
  // Loaded where such a file is read only.
  open: async (file, options) => (await import('./arrow-rows.js')).openArrow(file, options),
};
