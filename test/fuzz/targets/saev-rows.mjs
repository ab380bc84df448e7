import { fixtureFolder, unpack } from '../files.mjs';
import { memoryFile, readRows } from '../rows.mjs';

export default {
  seeds: () => ['rows/saev', 'rows/saev-one-layer'].map((name) => fixtureFolder(name)),
  read(input) {
    const files = unpack(input);
    const rows = [...files].filter(([name]) => !name.endsWith('.json'));
    if (rows.length === 0) return undefined;
    return readRows(rows.map(([name, bytes]) => memoryFile(name, bytes, files)));
  },
};
