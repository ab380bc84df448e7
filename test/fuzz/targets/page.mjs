import { fixture, fixtureFolder, pack, unpack } from '../files.mjs';

// Node has had it since 21.
globalThis.navigator ??= {};
const { readFiles } = await import(new URL('../work/browser/page.js', import.meta.url).href);

// What is dropped on the page.
export default {
  seeds: () => [
    ...fixture(
      ['data/*.{npy,npz,safetensors,csv,gz}', 'rows/*.{pt,zst}', 'tables/*.{arrow,parquet}'],
      2048,
    ).map((bytes) => pack([['rows.npy', bytes]])),
    fixtureFolder('labels', /labels\.(csv|tsv)/),
    ...['rows/saev', 'rows/saev-one-layer'].map((name) => fixtureFolder(name)),
    pack([
      ['data/state.json', '{"_data_files": [{"filename": "../rows.csv"}]}'],
      ['data/a.csv', '1,2\n3,4\n'],
      ['labels.txt', 'a\nb'],
    ]),
    pack([
      ['a.csv', '1,2\n3,4\n'],
      ['labels.csv', 'label,x\na,1\nb,2\n'],
    ]),
  ],
  read(input) {
    return readFiles([...unpack(input)].map(([name, bytes]) => ({ name, blob: new Blob([bytes]) })));
  },
};
