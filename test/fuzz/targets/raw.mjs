import { elementTypes } from '../../../dist/sae/rows/formats/array.js';
import { fixture } from '../files.mjs';
import { memoryFile, readRows } from '../rows.mjs';

// The first byte says of which type values are, and the second how many are a row.
export default {
  seeds: () =>
    fixture(['rows/*.bin', 'rows/rows.bin.zst']).map((bytes, i) =>
      Buffer.concat([Buffer.from([i, 3]), bytes]),
    ),
  read([type = 0, in_dims = 0, ...bytes]) {
    const rows_type = elementTypes[type % elementTypes.length];
    return readRows([memoryFile('rows.bin', Buffer.from(bytes))], { rows_type, in_dims });
  },
};
