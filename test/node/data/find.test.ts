import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findDataFiles } from '../../../src/node/data/find.js';
import { readDataset } from '../../../src/node/data/read.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { mnistNormalization, noNormalization } from '../../../src/sae/rows/dataset.js';
import { npy } from '../../cli/sae.js';
import { failure, temporaryFolder } from './folder.js';

const fixtures = fileURLToPath(new URL('../../fixtures/data/', import.meta.url));
const fixture = (name: string) => join(fixtures, name);
const folder = temporaryFolder();
const floats = Float32Array.from({ length: 12 }, (_, k) => k / 2 - 3);

/** A folder of files of one row each, of their number. */
function shards(
  name: string,
  numbers: readonly number[],
  others: Readonly<Record<string, string>> = {},
): string {
  mkdirSync(join(folder.path, name));
  for (const number of numbers) {
    folder.write(join(name, `x${number}.npy`), npy([1, 2], Float32Array.of(number, -number)));
  }
  for (const [file, text] of Object.entries(others)) folder.write(join(name, file), text);
  return join(folder.path, name);
}

describe('several files', () => {
  it('of a folder, a pattern and by name: each once, in the natural order of each', async () => {
    const path = shards('shards', [10, 9, 1, 100], {
      'config.json': '{}',
      'notes.md': '',
      '.hidden.npy': '',
    });
    const inside = shards('shards/inside', [7]);
    const first = join(path, 'x100.npy');
    const expected = [100, 1, 9, 10].map((number) => join(path, `x${number}.npy`));
    const found = await findDataFiles([first, path, join(path, '*.npy')]);
    expect(found).toEqual({
      files: expected,
      missing: [],
      notes: [`In ${path} these are not read: config.json, notes.md.`],
    });
    const notes: string[] = [];
    const { data, name, rows } = await readDataset([first, path], { onNote: (note) => notes.push(note) });
    expect([...data]).toEqual([100, -100, 1, -1, 9, -9, 10, -10]);
    expect([name, rows, notes]).toEqual(['x100.npy and 3 more files', 4, found.notes]);
    const below = await findDataFiles(`${path}/**/*.npy`);
    expect(below.files.map((file) => join(file).slice(-7)).sort()).toEqual(
      ['s/x1.npy', 's/x10.npy', 's/x100.npy', 's/x9.npy', join(inside, 'x7.npy')]
        .map((file) => file.slice(-7))
        .sort(),
    );
    // Its own name counts, whatever pattern that would be.
    const bracket = folder.write('[a].npy', npy([1, 2], floats.slice(0, 2)));
    expect((await findDataFiles(bracket)).files).toEqual([bracket]);
  });

  const mixed = ['little-f4.npy', 'fortran-f8.npy', 'rows-f16.safetensors', 'one.npz', 'rows-f4.idx2'];
  it('of which links lead nowhere: a sentence', async () => {
    const path = shards('links', [1]);
    symlinkSync('gone.npy', join(path, 'x2.npy'));
    const sentence = (name: string) =>
      new RegExp(`${name} is a link to gone\\.npy, which is not there\\. Check its name and folder\\.`);
    for (const named of [path, join(path, '*.npy'), join(path, '?2.npy')]) {
      expect(await failure(DataError, () => readDataset(named))).toMatch(sentence('x2\\.npy'));
    }
  });

  it.each(['.zarray', '.zgroup', 'zarr.json'])('of Zarr are refused, by their %s', async (name) => {
    const path = shards(`zarr${name}`, [1], { [name]: '{}' });
    expect(await failure(DataError, () => readDataset(path))).toMatch(
      /is a folder of Zarr, by its .*, and Zarr is not read\. Write its array as a \.npy file: in Python, numpy\.save\('rows\.npy', zarr\.open\('zarr/,
    );
  });

  it.each([[mixed], [[...mixed, 'rows.csv', 'little-f4.npy.gz']]])(
    'of several formats: %s',
    async (names) => {
      const { data, rows, in_dims, normalization } = await readDataset(names.map(fixture));
      expect([rows, in_dims, normalization]).toEqual([3 * names.length, 4, noNormalization]);
      expect(data).toEqual(Float32Array.from(names.flatMap(() => [...floats])));
    },
  );

  it('of images, whose shape counts if it is that of all', async () => {
    const images = ['images-u1.npy', 'fortran-images-u1.npy', 'images.idx3-ubyte.gz'].map(fixture);
    const { data, rows, image_shape, normalization } = await readDataset(images);
    expect([rows, image_shape, normalization]).toEqual([6, [3, 4], mnistNormalization]);
    const one = await readDataset(images[0]);
    expect(data).toEqual(Uint8Array.from([...one.data, ...one.data, ...one.data]));
    const flat = folder.write('flat.npy', npy([1, 12], new Uint8Array(12)));
    expect((await readDataset([images[0], flat])).image_shape).toBeUndefined();
    expect((await readDataset([images[0], flat], { image_shape: [6, 2] })).image_shape).toEqual([6, 2]);
  });

  it('are told of once', async () => {
    const notes: string[] = [];
    const files = ['sequences-f2.npy', 'names.csv', 'fortran-4d-f4.npy', 'rows-f4.idx2'].map(fixture);
    await readDataset(files, { onNote: (note) => notes.push(note) });
    expect(notes).toEqual([
      expect.stringMatching(
        /sequences-f2\.npy has the shape \(2, 3, 4\) .* dimension\. The same goes for 1 more file\.$/,
      ),
      expect.stringMatching(/^Line 1 of \S*names\.csv has names, and is not read as a row\.$/),
    ]);
  });

  it('of which some are wrong: all of them are listed, and no value is read', async () => {
    const files = ['little-f4.npy', 'nowhere.npy', 'u1.npy', 'wrong/1d.npy', 'wrong/nan.npy', 'rows.tsv'].map(
      fixture,
    );
    const narrow = folder.write('narrow.npy', npy([3, 2], new Float32Array(6)));
    const empty = join(folder.path, 'empty');
    mkdirSync(empty);
    const message = await failure(DataError, () =>
      readDataset([...files, narrow, empty, join(empty, '*.npy')]),
    );
    const [first, ...lines] = message.split('\n');
    expect(first).toBe('Of 9 files, 6 cannot be read with the others, and nothing was read:');
    expect(lines).toEqual([
      expect.stringMatching(/^ {2}\S*empty is a folder without rows; expected a \.npy, .* file in it\.$/),
      expect.stringMatching(/^ {2}No file matches \S*empty\S\*\.npy\. Check/),
      expect.stringMatching(/^ {2}There is no file \S*nowhere\.npy\./),
      expect.stringMatching(
        /^ {2}\S*u1\.npy has 8-bit values, which are divided by 255; expected values that are taken as they are, as in \S*little-f4\.npy\.$/,
      ),
      expect.stringMatching(/^ {2}\S*1d\.npy has 1 dimension/),
      expect.stringMatching(/^ {2}\S*narrow\.npy has 2 values a row; expected 4, as in \S*little-f4\.npy\.$/),
    ]);
  });

  it('of another width than in_dims, and more faults than are listed', async () => {
    const path = shards(
      'many',
      Array.from({ length: 25 }, (_, i) => i),
    );
    const message = await failure(DataError, () => readDataset(path, { in_dims: 3 }));
    expect(message.split('\n')).toHaveLength(22);
    expect(message).toMatch(/^Of 25 files, 25 cannot .*\n.*x0\.npy has 2 values a row; expected 3 \(in_dims/);
    expect(message).toMatch(/x19\.npy has .*\n {2}and 5 more\.$/);
    const shaped = () => readDataset(path, { image_shape: [3, 1] });
    expect(await failure(ConfigError, shaped)).toMatch(/^image_shape 3,1 is that of 3 values/);
  });

  it('none at all', async () => {
    expect(await failure(DataError, () => readDataset([]))).toBe(
      'No file of rows is named; expected at least one.',
    );
    const nested = join(folder.path, 'nested');
    shards('nested', []);
    shards('nested/below', [1]);
    expect(await failure(DataError, () => readDataset(nested))).toMatch(
      /nested is a folder without rows; .* Folders in it are not looked into: a pattern such as "\S*nested\S\*\*" does that\.$/,
    );
  });
});
