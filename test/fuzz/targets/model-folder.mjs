import { readModelFile } from '../../../dist/node/model-file.js';
import { onDisk } from '../files.mjs';
import { watchPaths } from '../paths.mjs';
import foreign from './foreign-model.mjs';

// Folders of models of other programs, and a file in them, as they lie on a disk.
export default {
  seeds: foreign.seeds,
  longest: 8192,
  async read(input) {
    const folder = onDisk(input);
    watchPaths(folder);
    await readModelFile(folder);
  },
};
