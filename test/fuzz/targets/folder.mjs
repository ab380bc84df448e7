import { openFiles } from '../../../dist/node/data/read.js';
import { fixtureFolder, onDisk, pack } from '../files.mjs';
import { watchPaths } from '../paths.mjs';

const arrow = [...new Set(['tables'])].map(() => fixtureFolder('tables', /^(fixed-f32|list-f16)\.arrows?$/));

/** A folder as save_to_disk leaves it. */
const saved = (names) =>
  pack([
    ['state.json', JSON.stringify({ _data_files: names.map((filename) => ({ filename })) })],
    ['dataset_info.json', '{}'],
    ['data-00000-of-00001.arrow', fixtureBytes],
  ]);
const fixtureBytes = Buffer.from('ARROW1');

// Folders: those of save_to_disk, of saev, and any others.
export default {
  seeds: () => [
    ...arrow,
    saved(['data-00000-of-00001.arrow']),
    saved(['../secret.arrow', '/etc/passwd']),
    pack([['dataset_dict.json', '{"splits": ["train", "../test"]}']]),
    ...['rows/saev', 'rows/saev-one-layer'].map((name) => fixtureFolder(name)),
    pack([
      ['metadata.json', '{}'],
      ['shards.json', '[{"name": "../acts000000.bin", "n_examples": 2}]'],
      ['acts000000.bin', 'abcd'],
    ]),
    pack([
      ['a.csv', '1,2\n3,4\n'],
      ['b.csv', '5,6\n'],
      ['labels.txt', 'a\nb\nc\n'],
    ]),
  ],
  async read(input) {
    const folder = onDisk(input);
    watchPaths(folder);
    await (await openFiles(folder, { most_bytes: 2 ** 21 })).inMemory();
  },
};
