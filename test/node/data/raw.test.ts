import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { loadDatasets } from '../../../src/node/data/datasets.js';
import { findDataFiles } from '../../../src/node/data/find.js';
import { readDataset } from '../../../src/node/data/read.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { mnistNormalization, noNormalization } from '../../../src/sae/rows/dataset.js';
import { elementTypes } from '../../../src/sae/rows/formats/array.js';
import { npy } from '../../cli/sae.js';
import { failure, temporaryFolder } from './folder.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/rows/${name}`, import.meta.url));
const folder = temporaryFolder();
const floats = Float32Array.from({ length: 12 }, (_, k) => k / 2 - 3);
const signed = Float32Array.from({ length: 12 }, (_, k) => 20 * k - 110);
const unsigned = Float32Array.from({ length: 12 }, (_, k) => 20 * k);
const f32 = { rows_type: 'f32', in_dims: 4 } as const;

describe('raw files', () => {
  it.each(elementTypes)('of %s, as numpy writes them', async (rows_type) => {
    const name = `rows-${rows_type}.bin`;
    const bytes = rows_type === 'u8';
    const values = rows_type.includes('f') ? floats : rows_type.startsWith('u') ? unsigned : signed;
    const expected = {
      rows: 3,
      in_dims: 4,
      data: bytes ? Uint8Array.from(values) : values,
      normalization: bytes ? mnistNormalization : noNormalization,
    };
    expect(await readDataset(fixture(name), { rows_type, in_dims: 4 })).toEqual({ name, ...expected });
    const zipped = folder.write('zipped', gzipSync(readFileSync(fixture(name))));
    expect(await readDataset(zipped, { rows_type, in_dims: 4 })).toEqual({ name: 'zipped', ...expected });
  });

  it('as images, and of more than a piece', async () => {
    const { in_dims, image_shape } = await readDataset(fixture('rows-f32.bin'), {
      rows_type: 'f32',
      image_shape: [2, 3],
    });
    expect([in_dims, image_shape]).toEqual([6, [2, 3]]);
    const values = Float32Array.from({ length: 7 * 300_001 }, (_, i) => Math.sin(i));
    const bytes = new Uint8Array(values.buffer);
    for (const content of [bytes, gzipSync(bytes, { level: 1 })]) {
      const { data } = await readDataset(folder.write('long', content), { rows_type: 'f32', in_dims: 7 });
      expect(Buffer.from(data.buffer).equals(Buffer.from(bytes.buffer))).toBe(true);
    }
  });

  it('are those of no format that is known; in a folder, those that are called so', async () => {
    const path = join(folder.path, 'mixed');
    mkdirSync(path);
    const bytes = readFileSync(fixture('rows-f32.bin'));
    folder.write('mixed/b.npy', npy([1, 4], Float32Array.of(1, 2, 3, 4)));
    folder.write('mixed/a.bin', bytes);
    folder.write('mixed/c.f32', bytes);
    folder.write('mixed/notes.md', 'notes');
    const names = ['a.bin', 'b.npy', 'c.f32'].map((name) => join(path, name));
    const found = await findDataFiles(path, f32);
    expect(found).toEqual({
      files: names,
      missing: [],
      notes: [`In ${path} these are not read: notes.md.`],
    });
    expect((await findDataFiles(path)).files).toEqual([names[1]]);
    const { data } = await readDataset(path, f32);
    expect(data).toEqual(Float32Array.of(...floats, 1, 2, 3, 4, ...floats));
    // Named itself, any file is; and what begins as IDX does is raw unless it is called so.
    const zeros = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1);
    const raw = folder.write('pixels', zeros);
    expect((await readDataset(raw, { rows_type: 'u8', in_dims: 8 })).data).toEqual(zeros);
    const called = folder.write('pixels-idx3-ubyte', Uint8Array.of(...zeros, 7));
    expect((await readDataset([raw, called], { rows_type: 'u8', in_dims: 1 })).rows).toBe(17);
  });

  it('beside held-out rows of another format, and the other way round', async () => {
    const validation = folder.write('held-out.npy', npy([1, 4], Float32Array.of(1, 2, 3, 4)));
    const data = fixture('rows-f32.bin');
    const loaded = await loadDatasets({ data, validation, ...f32 });
    expect([loaded.train.rows, loaded.validation?.rows]).toEqual([3, 1]);
    const other = await loadDatasets({ data: validation, validation: data, ...f32 });
    expect([other.train.rows, other.validation?.rows]).toEqual([1, 3]);
    const none = () => loadDatasets({ data: validation, validation, ...f32 });
    expect(await failure(ConfigError, none)).toMatch(/^rows_type is f32, .* Leave it out\.$/);
  });

  it.each([
    [readFileSync(fixture('rows-f32.bin')).subarray(0, 47), 'cut.bin', '47 bytes', 15],
    [gzipSync(readFileSync(fixture('rows-f32.bin')).subarray(0, 33)), 'cut.gz', '33 bytes when unpacked', 1],
  ])('cut in the middle of a row: %#', async (content, name, bytes, rest) => {
    const file = folder.write(name, content);
    expect(await failure(DataError, () => readDataset(file, f32))).toBe(
      `${file} has ${bytes}, and rows of 4 f32 values have 16 each: its row 2 (from 0) is cut after ${rest}. The file is ` +
        'truncated, or rows_type or in_dims is another.',
    );
  });

  it('with a value that is not finite, of an unknown type, without a width, or empty', async () => {
    const values = floats.slice();
    values[6] = Number.NaN;
    for (const content of [new Uint8Array(values.buffer), gzipSync(new Uint8Array(values.buffer))]) {
      const file = folder.write('nan', content);
      expect(await failure(DataError, () => readDataset(file, f32))).toMatch(
        /nan has NaN at row 1, column 2 \(both from 0; byte 24/,
      );
    }
    const file = fixture('rows-f32.bin');
    const typed = (rows_type: string) => readDataset(file, { ...f32, rows_type: rows_type as 'f32' });
    expect(await failure(ConfigError, () => typed('f33'))).toMatch(
      /^rows_type must be u8, .*, and is "f33"\.$/,
    );
    expect(await failure(ConfigError, () => readDataset(file, { rows_type: 'f32' }))).toMatch(
      /is a raw file of f32 values, and nothing says how many a row has\. Name in_dims/,
    );
    expect(await failure(ConfigError, () => readDataset(file, { ...f32, image_shape: [2, 3] }))).toMatch(
      /^image_shape 2,3 is that of 6 values/,
    );
    const empty = folder.write('empty.gz', gzipSync(''));
    expect(await failure(DataError, () => readDataset(empty, f32))).toMatch(/has no values when unpacked/);
    expect(await failure(DataError, () => readDataset(file))).toMatch(/ or rows_type, the type of values of/);
  });

  it('that unpack to more than is accepted', async () => {
    const bomb = folder.write('bomb.gz', gzipSync(Buffer.alloc(2e7)));
    const read = () => readDataset(bomb, { ...f32, most_bytes: 1e6 });
    expect(await failure(DataError, read)).toMatch(/has more than 1,000,000 bytes when unpacked/);
  });
});
