import { Readable } from 'node:stream';
import { pipedRows } from '../../../dist/node/data/piped.js';
import { fixture } from '../files.mjs';

export default {
  seeds: () => fixture(['data/**/*.npy']),
  async read(input) {
    const { rows } = await pipedRows({ stream: Readable.from([input]), name: 'rows' });
    for (let row = 0; row < rows.rows; row++) await rows.read(row, row + 1);
  },
};
