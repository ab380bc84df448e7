import { join } from 'node:path';
import { rowsFile } from '../../../dist/node/data/rows-file.js';
import { fixture, onDisk, pack } from '../files.mjs';
import { watchPaths } from '../paths.mjs';
import { readRows } from '../rows.mjs';

// The library opens files by itself.
export default {
  // Of its damage that keeps the library busy without end, each takes half a minute: a virtual data set has much room for such.
  seeds: () => fixture(['tables/**/*.{h5,hdf5}', '!tables/wrong/{endless,elsewhere-virtual}.h5']),
  longest: 8192,
  async read(input) {
    const folder = onDisk(pack([['rows.h5', input]]));
    watchPaths(folder);
    await readRows([await rowsFile(join(folder, 'rows.h5'))]);
  },
};
