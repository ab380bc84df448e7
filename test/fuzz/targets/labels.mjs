import { holdsLabels, readLabels } from '../../../dist/sae/rows/labels.js';
import { fixture } from '../files.mjs';
import { memoryFile } from '../rows.mjs';

const endings = ['txt', 'csv', 'tsv', 'jsonl'];

// The first byte says how the file's name ends.
export default {
  seeds: () =>
    fixture(['labels/labels.*']).flatMap((bytes) =>
      endings.map((_, i) => Buffer.concat([Buffer.from([i]), bytes])),
    ),
  async read(input) {
    const name = `labels.${endings[(input[0] ?? 0) % endings.length]}`;
    const file = memoryFile(name, input.subarray(1));
    await holdsLabels(name, async () => file);
    await readLabels(file);
  },
};
