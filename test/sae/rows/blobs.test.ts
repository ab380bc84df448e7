import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readDataset } from '../../../src/node/data/read.js';
import { DataError } from '../../../src/sae/errors.js';
import type { NamedBlob } from '../../../src/sae/rows/blob-file.js';
import { decodeLabels, openBlobs, sortBlobs } from '../../../src/sae/rows/blobs.js';
import { rowsBetween } from '../../../src/sae/rows/blocks.js';
import { npy } from '../../cli/sae.js';
import { failure } from '../../node/data/folder.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

const blobOf = (name: string, content: Uint8Array | string): NamedBlob => ({
  name,
  blob: new Blob([content as BlobPart]),
});

/** A file that cannot be read but in parts. */
function inParts({ name, blob }: NamedBlob): NamedBlob {
  const whole = () => {
    throw new Error(`${name} was read whole.`);
  };
  return { name, blob: Object.assign(blob, { arrayBuffer: whole, stream: whole }) };
}

/** A folder as it is dropped on a page, with other files in it. */
function dropped(path: string, others: Readonly<Record<string, string>> = {}): NamedBlob[] {
  const name = path.split('/').at(-1);
  const inside = readdirSync(fixture(path)).map((file): [string, Uint8Array] => [
    file,
    readFileSync(join(fixture(path), file)),
  ]);
  return [...inside, ...Object.entries(others)].map(([file, content]) =>
    inParts(blobOf(`${name}/${file}`, content)),
  );
}

it.each([
  ['tables/saved', {}, 'data-00000-of-00002.arrow and 1 more file'],
  [
    'tables/saved-half',
    { 'data-00002-of-00002.arrow': 'not listed' },
    'data-00000-of-00002.arrow and 1 more file',
  ],
  ['rows/saev-one-layer', { 'notes.md': 'not rows' }, 'acts000000.bin and 2 more files'],
  ['rows/saev', {}, 'acts000000.bin and 2 more files', '7'],
])('%s, read from its places as the command line reads it', async (path, others, name, tensor?: string) => {
  const expected = await readDataset(fixture(path), { tensor });
  const rows = await openBlobs(dropped(path, others), { most_memory: 0, tensor });
  expect([rows.name, rows.rows, rows.in_dims]).toEqual([name, expected.rows, expected.in_dims]);
  expect('read' in rows).toBe(true);
  expect((await rowsBetween(rows, 0, rows.rows)).data).toEqual(expected.data);
  expect((await rowsBetween(rows, 5, 9)).data).toEqual(
    expected.data.subarray(5 * expected.in_dims, 9 * expected.in_dims),
  );
  // Chosen file by file, without the folder's name.
  const files = dropped(path).map((file) => ({ ...file, name: file.name.split('/')[1] }));
  expect((await openBlobs(files, { most_memory: 1e6, tensor })).rows).toBe(expected.rows);
});

it('several folders and files, one after another, each in the natural order of its names', async () => {
  const rows = (name: string, value: number) => blobOf(name, npy([1, 2], Float32Array.of(value, -value)));
  const all = [
    rows('b/x10.npy', 3),
    rows('b/x9.npy', 2),
    blobOf('b/notes.txt', 'no rows'),
    rows('b/in/x.npy', 4),
    rows('z.npy', 5),
    rows('a.npy', 6),
  ];
  const read = await openBlobs(all, { most_memory: 1e6 });
  expect(read).toMatchObject({
    name: 'x9.npy and 4 more files',
    data: Float32Array.of(2, -2, 3, -3, 4, -4, 5, -5, 6, -6),
  });
});

it.each([
  [
    { 'saved/dataset_dict.json': '{"splits": ["train", "test"]}' },
    /^saved has a data set for each of its splits; take one: saved\/train or saved\/test\.$/,
  ],
  [
    { 'saved/state.json': '{"_data_files": [{"filename": "a.arrow"}]}' },
    /^saved lacks a\.arrow of 1; expected the shards that saved\/state\.json names/,
  ],
  [{ 'saved/state.json': '{' }, /^saved\/state\.json is damaged: it is not JSON\. Copy it again\.$/],
  [{ 'saved/state.json': '' }, /^saved\/state\.json is empty; expected what save_to_disk writes\.$/],
  [
    {
      'acts/metadata.json': '{}',
      'acts/shards.json': '[{"name": "acts000000.bin", "n_examples": 1}]',
    },
    /^There is no file acts\/acts000000\.bin, which a list beside it names\./,
  ],
  [{ 'notes/notes.md': 'some words' }, /^notes\/notes\.md is neither a \.npy, /],
  [{ 'cut.npy': 'some words' }, /^cut\.npy is neither/],
])('%j is refused', async (files, sentence) => {
  const blobs = Object.entries(files).map(([name, content]) => blobOf(name, content));
  expect(await failure(DataError, () => openBlobs(blobs, { most_memory: 1e6 }))).toMatch(sentence);
});

it('two files of one name are refused', async () => {
  const file = blobOf('x.npy', npy([1, 1], Float32Array.of(1)));
  expect(await failure(DataError, () => openBlobs([file, { ...file }], { most_memory: 1e6 }))).toBe(
    'There are two files x.npy. Rename one of them.',
  );
});

it.each(['labels.csv', 'labels.tsv', 'labels.jsonl'])('%s, as Python wrote it', async (name) => {
  const blob = new Blob([readFileSync(fixture(`labels/${name}`))]);
  expect(await decodeLabels(blob, name)).toEqual(
    JSON.parse(readFileSync(fixture('labels/labels.json'), 'utf8')),
  );
});

it.each([
  [['x.npy', 'y.txt'], 'y.txt'],
  [['y.jsonl.gz'], 'y.jsonl.gz'],
  // In a folder they are passed over, as on the command line.
  [['a/x.npy', 'a/y.txt'], undefined],
  [['x.npy', 'words.csv'], 'words.csv'],
  [['words.csv'], 'words.csv'],
  [['digits.csv'], 'digits.csv'],
  // Kaggle's MNIST: rows, if there are no others.
  [['numbers.csv'], undefined],
  [['x.npy', 'numbers.csv'], 'numbers.csv'],
  [['numbers.csv', 'y.txt'], 'y.txt'],
  [['rows.csv'], undefined],
])('of %j, %s has labels', async (names, labels) => {
  const contents: Record<string, string> = {
    'words.csv': 'id,label\n1,one\n2,two\n',
    'digits.csv': 'label\n7\n2\n',
    'numbers.csv': 'label,pixel0\n7,0\n2,255\n',
    'rows.csv': 'a,b\n1,2\n',
  };
  const sorted = await sortBlobs(names.map((name) => blobOf(name, contents[name] ?? 'x')));
  expect(sorted.labels?.name).toBe(labels);
  expect(sorted.rows.map(({ name }) => name)).toEqual(names.filter((name) => name !== labels));
});
