import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { optional } from '../../../src/node/data/optional.js';
import { readDataset } from '../../../src/node/data/read.js';
import { rowsFile } from '../../../src/node/data/rows-file.js';
import { DataError } from '../../../src/sae/errors.js';
import { type DecodeOptions, decodeDataset } from '../../../src/sae/rows/decode.js';
import { arrow } from '../../../src/sae/rows/formats/arrow.js';
import { ArrowBuffer } from '../../../src/sae/rows/formats/arrow-buffer.js';
import { readArrowMessages } from '../../../src/sae/rows/formats/arrow-messages.js';
import { readPart } from '../../../src/sae/rows/formats/bytes.js';
import type { RowFormat } from '../../../src/sae/rows/formats/file.js';
import { parquet } from '../../../src/sae/rows/formats/parquet.js';
import { long } from '../../support/long.js';
import { failure, temporaryFolder } from './folder.js';

const fixtures = fileURLToPath(new URL('../../fixtures/tables/', import.meta.url));
const fixture = (name: string) => join(fixtures, name);
const folder = temporaryFolder();
const bytesOf = (name: string) => readFileSync(fixture(name));

/** The format of a file that is read from its places. */
const formats: Readonly<Record<string, RowFormat>> = { arrow, arrows: arrow, parquet };
const endings = Object.keys(formats).join('|');
const tables = readdirSync(fixtures).filter((name) => new RegExp(`\\.(${endings})$`).test(name));

async function read(name: string, options: DecodeOptions = {}) {
  const notes: string[] = [];
  const onNote = (note: string) => notes.push(note.replaceAll(fixtures, ''));
  const { data, rows, in_dims } = await readDataset(fixture(name), { ...options, onNote });
  return { data, shape: [rows, in_dims], notes };
}

/** What numpy wrote. */
const numpy = async (name: string) => (await read(`${name}.npy`)).data;

describe('columns of lists', () => {
  it.each(tables.filter((name) => /^(list|fixed)-/.test(name)))('%s', async (name) => {
    const [, type] = /-([fiu]\d+)/.exec(name)!;
    const { data, shape, notes } = await read(name);
    expect(shape).toEqual([12, 5]);
    expect(data).toEqual(await numpy(type));
    expect(notes).toEqual([]);
  });

  it.each([
    ['beside.arrow', {}],
    ['beside.arrow', { tensor: 'ac*' }],
  ])('%s, %o: among columns of other types', async (name, options) => {
    const { data, notes } = await read(name, options);
    expect(data).toEqual(await numpy('f32'));
    expect(notes).toEqual([`Of the 7 columns of ${name}, acts is read.`]);
    expect((await read(name, { tensor: 'acts' })).notes).toEqual([]);
  });

  it('of lists, by DuckDB', async () => {
    const { data, shape, notes } = await read('beside-duckdb.parquet');
    expect([shape, data]).toEqual([[12, 5], await numpy('f32')]);
    expect(notes[1]).toMatch(
      /^beside-duckdb\.parquet, column acts, has the shape \(4, 3, 5\) and is read as 12 rows/,
    );
    expect((await read('beside-duckdb.parquet', { in_dims: 15 })).shape).toEqual([4, 15]);
  });

  it('a part of what is there', async () => {
    expect((await read('sliced.arrows')).data).toEqual((await numpy('f32')).subarray(10, 45));
  });

  it('of integers, if they are asked for', async () => {
    const { data, shape } = await read('beside.arrow', { tensor: 'ids' });
    expect([shape, data]).toEqual([[12, 3], new Float32Array(36)]);
  });
});

describe('columns of numbers', () => {
  it('all of floats, a value of a row each', async () => {
    const { data, notes } = await read('columns.arrow');
    expect(data).toEqual(await numpy('f32'));
    expect(notes).toEqual([
      'In columns.arrow a row has the values of its 5 columns a, b to e; texts, ids are not read.',
    ]);
    const mixed = await read('columns-mixed.arrows');
    expect(mixed.data).toEqual(await numpy('f32'));
  });

  it('those that are named', async () => {
    const all = await numpy('f32');
    const some = await read('columns.arrow', { tensor: '[bc]' }).catch((error: Error) => error.message);
    expect(some).toMatch(/has no column \[bc\]; there are texts \(utf8 \[12\]\), a \(f32 \[12\]\)/);
    const { data, shape, notes } = await read('columns.arrow', { tensor: 'd' });
    expect(shape).toEqual([12, 1]);
    expect(data).toEqual(all.filter((_, i) => i % 5 === 3));
    expect(notes).toEqual([
      'In columns.arrow a row has the value of its column d; texts, a to ids are not read.',
    ]);
    expect((await read('columns.arrow', { tensor: '?' })).data).toEqual(all);
    expect((await read('columns.arrow', { image_shape: [1, 5] })).shape).toEqual([12, 5]);
  });
});

describe('compressed buffers', () => {
  it.each(['columns-lz4.arrow', 'columns-zstd.arrow'])('%s: columns of numbers', async (name) => {
    expect((await read(name)).data).toEqual(await numpy('f32'));
  });

  it.each(readdirSync(fixture('long')))('%s: of several blocks', async (name) => {
    const { data, shape } = await read(join('long', name));
    expect(shape).toEqual([5000, 8]);
    expect(data.findIndex((value, i) => value !== i % 251)).toBe(-1);
  });

  it.each(['lz4', 'zstd'])("pyarrow's, generated_%s.stream", async (codec) => {
    const bytes = bytesOf(`arrow-testing/generated_${codec}.stream`);
    const file = {
      length: bytes.length,
      read: async (begin: number, into: Uint8Array) => into.set(bytes.subarray(begin, begin + into.length)),
    };
    const fail = (sentence: string): never => {
      throw new Error(sentence);
    };
    const { batches } = await readArrowMessages(file, fail);
    const values = [];
    for (const { buffers, body, codec, rows } of batches) {
      // The first column's second one; integers of 64 bits are no rows.
      const stored = { place: body + buffers[2], bytes: buffers[3], codec };
      const part = new ArrowBuffer(file, stored, 8, 8 * rows - 8, 'x', fail);
      values.push(...new BigInt64Array((await readPart(part, 0, part.length, fail)).buffer));
    }
    // By the JSON files beside it, each from its second value on.
    const from = (first: bigint) => Array.from({ length: 29 }, (_, i) => first + BigInt(i) + 1n);
    expect(values).toEqual([...from(42n), ...from(4200n)]);
  });

  it('a batch is unpacked once while its rows are read in turn', async () => {
    const file = await rowsFile(fixture('list-f32-lz4.arrows'));
    let reads = 0;
    const read: typeof file.read = (begin, into) => {
      reads += 1;
      return file.read(begin, into);
    };
    const { at } = await arrow.open({ ...file, read }, {});
    reads = 0;
    const counts = [];
    // Of 7 rows and 5: the length of a buffer is read, and what follows it.
    for (const [first, end] of [
      [0, 3],
      [3, 7],
      [6, 9],
      [9, 12],
      [0, 1],
    ]) {
      await at!(first, end);
      counts.push(reads);
    }
    expect(counts).toEqual([2, 2, 4, 4, 6]);
  });

  it("pyarrow's, of which the numbers are not compressed", async () => {
    const { data } = await read('arrow-testing/generated_uncompressible_lz4.stream');
    expect(data).toEqual(Float32Array.of(19006, 35514, 17250, 14399));
  });
});

describe('what save_to_disk of Hugging Face wrote', () => {
  it.each([
    ['saved', 'f32'],
    ['saved-half', 'f16'],
  ])('%s: activations beside their tokens', async (name, type) => {
    const { data, shape, notes } = await read(name);
    expect(shape).toEqual([12, 5]);
    expect(data).toEqual(await numpy(type));
    const shard = join(name, 'data-00000-of-00002.arrow');
    expect(notes).toEqual([
      `Of the 2 columns of ${shard}, blocks.3.hook_resid_pre is read. The same goes for 1 more file.`,
      `${shard}, column blocks.3.hook_resid_pre, has the shape (3, 3, 5) and is read as 9 rows of 5 values, its last dimension. ` +
        'The same goes for 1 more file.',
    ]);
    const whole = await read(name, { in_dims: 15, tensor: 'blocks.*' });
    expect([whole.shape, whole.data]).toEqual([[4, 15], data]);
  });

  it('has the shards that it names, in that order, and no others', async () => {
    const copy = join(folder.path, 'copy');
    cpSync(fixture('saved'), copy, { recursive: true });
    const state = join(copy, 'state.json');
    const [first, second] = ['data-00000-of-00002.arrow', 'data-00001-of-00002.arrow'];
    const name = (...files: string[]) =>
      writeFileSync(state, JSON.stringify({ _data_files: files.map((filename) => ({ filename })) }));
    cpSync(join(copy, first), join(copy, 'data-00009-of-00002.arrow'));
    const all = await numpy('f32');
    expect((await readDataset(copy)).data).toEqual(all);
    name(second, first);
    const turned = Float32Array.from([...all.subarray(45), ...all.subarray(0, 45)]);
    expect((await readDataset(copy)).data).toEqual(turned);
    rmSync(join(copy, second));
    const refused = () => failure(DataError, () => readDataset(copy));
    expect(await refused()).toMatch(
      /copy lacks data-00001-of-00002\.arrow of 2; expected the shards that \S*state\.json names/,
    );
    name('../saved/data-00000-of-00002.arrow', 'x', 'y');
    expect(await refused()).toMatch(/lacks \.\.\/saved\/data\S+ and 2 more of 3; expected/);
    name();
    expect(await refused()).toMatch(/copy has no shards; expected/);
    writeFileSync(state, '{"_data_files": [');
    expect(await refused()).toMatch(/state\.json is damaged: .*\. Copy it again\.$/);
    // Another program's.
    writeFileSync(state, '{}');
    expect((await readDataset(copy)).rows).toBe(18);
    writeFileSync(join(copy, 'dataset_dict.json'), '{"splits": ["train", "test"]}');
    expect(await refused()).toMatch(
      /copy has a data set for each of its splits; take one: \S*train or \S*test\.$/,
    );
  });
});

it.each(tables)('%s: from any place, in a page, and not gzipped', async (name) => {
  const file = await rowsFile(fixture(name));
  const opened = await formats[name.split('.')[1]].open(file, {});
  const { data, shape } = await read(name);
  const [rows, in_dims] = shape;
  for (let first = 0; first < rows; first += 3) {
    for (let end = first + 1; end <= rows; end += 2) {
      expect(await opened.at!(first, end)).toEqual(data.subarray(first * in_dims, end * in_dims));
    }
  }
  expect((await decodeDataset(new Blob([bytesOf(name)]), name)).data).toEqual(data);
  const zipped = folder.write('zipped.gz', gzipSync(bytesOf(name)));
  expect(await failure(DataError, () => readDataset(zipped))).toMatch(
    /it is packed with gzip, .* Unpack it with gunzip/,
  );
});

describe('HDF5', () => {
  const files = readdirSync(fixtures).filter(
    (name) => /^rows.*\.(h5|hdf5)$/.test(name) && !name.includes('lzf'),
  );
  it.each(files)('%s: from any place', async (name) => {
    const [, type] = /-([fiu]\d+)/.exec(name)!;
    const { data, shape, notes } = await read(name);
    expect([shape, data, notes]).toEqual([[12, 5], await numpy(type), []]);
    const file = await rowsFile(fixture(name));
    const opened = await file.format!.open(file, {});
    for (const [first, end] of [
      [0, 1],
      [3, 11],
      [11, 12],
    ]) {
      expect(await opened.at!(first, end)).toEqual(data.subarray(5 * first, 5 * end));
    }
  });

  it('activations in groups, beside their tokens', async () => {
    const { data, shape, notes } = await read('sequences-f32.h5');
    expect([shape, data]).toEqual([[12, 5], await numpy('f32')]);
    expect(notes).toEqual([
      'Of the 3 data sets of sequences-f32.h5, layers/3/acts is read.',
      expect.stringMatching(/, data set layers\/3\/acts, has the shape \(4, 3, 5\) and is read as 12 rows/),
    ]);
    const file = await rowsFile(fixture('sequences-f32.h5'));
    const opened = await file.format!.open(file, { tensor: 'layers/*/acts' });
    expect(await opened.at!(1, 11)).toEqual(data.subarray(5, 55));
    expect(await opened.at!(4, 5)).toEqual(data.subarray(20, 25));
  });

  it.each([
    ['rows-f16-lzf.hdf5', /acts is packed with lzf, which cannot be unpacked here\. Write it with gzip/],
    ['wrong/two.h5', /has 2 arrays that may be rows; there are first \(f32 \[12, 5\]\), second/],
    ['wrong/flat.h5', /has no array of .* of two dimensions or more; there are flat \(f32 \[60\]\)/],
    ['wrong/longs.h5', /there are ids \(class 0 of 8 bytes \[2, 2\]\)/],
    ['wrong/nan.h5', /has NaN at row 7, column 2 \(both from 0; byte 148 of the data set\)/],
    ['wrong/empty.h5', /it has none at all/],
    [
      'wrong/elsewhere-raw.h5',
      /what is in it lies in another file, .*f32\.npy, which is not read\. Write it/,
    ],
    ['wrong/elsewhere-link.h5', /what is in it lies in another file, .*rows-f32\.h5, which is not read/],
    ['wrong/elsewhere-virtual.h5', /what is in it lies in another file, .*rows-f32\.h5, which is not read/],
    [
      'wrong/never-written.h5',
      /acts claims 400,000,000 bytes of values, and its 1,400 bytes cannot hold that/,
    ],
    ['wrong/cut.h5', /cut\.h5 is not an HDF5 file that can be read: it is truncated or damaged\. Copy/],
  ])('%s', async (name, sentence) => {
    expect(await failure(DataError, () => readDataset(fixture(name)))).toMatch(sentence);
  });

  it('whose reading does not end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const refused = failure(DataError, () => readDataset(fixture('wrong/endless.h5')));
      await vi.waitUntil(() => vi.getTimerCount() > 0, { timeout: 10_000 });
      vi.advanceTimersByTime(30_000);
      expect(await refused).toMatch(
        /it is damaged so that reading it does not end\. Copy or write it again\./,
      );
    } finally {
      vi.useRealTimers();
    }
    expect((await read('rows-f32.h5')).data).toEqual(await numpy('f32'));
  });

  it('any byte of any file, and those that are whole after it', async () => {
    for (const name of ['rows-f32.h5', 'rows-f32-chunked.hdf5']) {
      const whole = bytesOf(name);
      await fc.assert(
        fc.asyncProperty(fc.nat(1600), fc.integer({ min: 1, max: 255 }), async (at, change) => {
          const bytes = Uint8Array.from(whole);
          bytes[at] ^= change;
          const rows = await readDataset(folder.write('damaged.h5', bytes)).catch((error) => {
            expect(error).toBeInstanceOf(DataError);
            expect(error.message).not.toMatch(/undefined|cannot be read: /);
          });
          if (rows) expect(rows.data.every(Number.isFinite)).toBe(true);
        }),
        { numRuns: long ? 60 : 20 },
      );
      expect((await read(name)).data).toEqual(await numpy('f32'));
    }
  });

  it('without the library', async () => {
    const gone = () => Promise.reject(Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' }));
    const loaded = () => optional(gone, { what: 'x.h5 is an HDF5 file', install: 'h5wasm@0.10' });
    expect(await failure(DataError, loaded)).toBe(
      'x.h5 is an HDF5 file, and what reads such ones is not installed: npm install h5wasm@0.10',
    );
  });
});

describe('what is wrong', () => {
  it.each([
    [
      'ragged.arrow',
      /ragged\.arrow has a list of 4 values at row 7 \(from 0\); expected 5, as in the first one\.$/,
    ],
    ['short.arrows', /has a list of 4 values at row 11 \(from 0\); expected 5/],
    ['null-list.arrow', /has null at row 9 \(from 0\); expected a value/],
    ['null-fixed.arrows', /has null at row 9 \(from 0\); expected a value/],
    ['null-value.arrow', /has null at row 7 \(from 0\); expected a value/],
    ['null-number.arrow', /, column c, has null at row 9 \(from 0\); expected a value/],
    [
      'nan.arrow',
      /has NaN at row 7, column 2 \(both from 0; byte 148 of the values\); expected finite numbers/,
    ],
    ['beyond-f32.arrow', /has 1e\+300, which is beyond the range of f32, at row 7, column 2/],
    [
      'texts.arrow',
      /has no column of numbers or of lists of them, of u8, .*; there are texts \(utf8 \[12\]\), flags/,
    ],
    [
      'two.arrow',
      /has 2 columns of lists that may be rows; there are first \(list<f32> \[12, 5\]\), second \(.*\)\. Name one with column, such as --column NAME\.$/,
    ],
    ['no-rows.arrows', /has no values: its shape is \(0, 0\)/],
    ['integers.arrow', /has no column of numbers .*; there are ids \(i64 \[2\]\)/],
    ['lz4-cut.arrows', /a buffer at byte 480 that cannot be unpacked \(it is cut off\)\. It is damaged\.$/],
    ['lz4-short.arrows', /cannot be unpacked \(it unpacks to 200 bytes instead of 240\)\. It is damaged\.$/],
    ['lz4-long.arrows', /cannot be unpacked \(it is longer than it claims\)\. It is damaged\.$/],
    [
      'lz4-few.arrows',
      /lz4-few\.arrows is not .*: its column 1 has a buffer at byte 480 that has 200 bytes, and 240 are needed/,
    ],
    [
      'lz4-claims.arrows',
      /claims to unpack to 1,099,511,627,776 bytes, and has 259 of LZ4\. It is damaged\.$/,
    ],
    ['lz4-negative.arrows', /has -2 bytes, and 240 are needed/],
    [
      'zstd-cut.arrows',
      /zstd-cut\.arrows, at byte 488, is damaged or truncated: its zstd stream cannot be unpacked/,
    ],
    ['zstd-short.arrows', /unpacks to 200 bytes instead of the 240 bytes that it claims\. It is damaged\.$/],
    ['zstd-long.arrows', /unpacks to more than the 240 bytes that it claims\. It is damaged\.$/],
    ['zstd-few.arrows', /has 200 bytes, and 240 are needed/],
    [
      'zstd-claims.arrows',
      /claims to unpack to 1,099,511,627,776 bytes, and has 253 of ZSTD\. It is damaged\.$/,
    ],
    ['zstd-negative.arrows', /has -2 bytes, and 240 are needed/],
    [
      'ragged.parquet',
      /has a list of another length at row 7 \(from 0\); expected 5 values, as in the first one\. Leave/,
    ],
    ['long.parquet', /has a list of another length at row 7 \(from 0\); expected 5 values/],
    ['null-list.parquet', /has null or an empty list at row 9 \(from 0\); expected 5 values/],
    ['null-value.parquet', /has null or an empty list at row 9 \(from 0\); expected 5 values/],
    ['null-number.parquet', /, column b, has null at row 9 \(from 0\); expected a value/],
    [
      'nan.parquet',
      /has NaN at row 7, column 2 \(both from 0; byte 148 of the values\); expected finite numbers/,
    ],
    ['beyond-f32.parquet', /has 1e\+300, which is beyond the range of f32, at row 7, column 2/],
    [
      'texts.parquet',
      /has no column .*; there are texts \(utf8 \[1\]\), ids \(int_64 \[1\]\), day \(date \[1\]\)/,
    ],
    [
      'two.parquet',
      /has 2 columns of lists that may be rows; there are first \(list<f32> \[12, 5\]\), second/,
    ],
    ['no-rows.parquet', /has no values: its shape is \(0, 0\)/],
  ])('%s', async (name, sentence) => {
    const file = fixture(join('wrong', name));
    const onDisk = await failure(DataError, () => readDataset(file));
    expect(onDisk).toMatch(sentence);
    const inPage = await failure(DataError, () => decodeDataset(new Blob([readFileSync(file)]), file));
    expect(inPage).toBe(onDisk);
  });

  it('another width, a column of texts, and several that match', async () => {
    const refused = (name: string, options: DecodeOptions) => failure(DataError, () => read(name, options));
    expect(await refused('list-f32.arrows', { in_dims: 7 })).toMatch(
      /has 5 values a row; expected 7 \(in_dims/,
    );
    expect(await refused('beside.arrow', { tensor: 'texts' })).toMatch(
      /has the column texts of type utf8; expected numbers, or lists of them, of u8/,
    );
    expect(await refused('wrong/two.arrow', { tensor: '*s*' })).toMatch(
      /has 2 columns of lists that match \*s\*; there are first/,
    );
    expect((await read('wrong/two.arrow', { tensor: 'second' })).data).toEqual(await numpy('f32'));
  });

  it('a stream or file that is cut anywhere, or goes on', async () => {
    for (const name of [
      'list-f32.arrows',
      'list-f32-lz4.arrows',
      'fixed-f32.arrow',
      'fixed-f32-rust.parquet',
    ]) {
      const whole = bytesOf(name);
      const stream = name.endsWith('s');
      for (let length = 8; length < whole.length; length += 4) {
        const cut = new Blob([whole.subarray(0, length)]);
        const notes: string[] = [];
        const read = () => decodeDataset(cut, 'x', { onNote: (note) => notes.push(note) });
        const result = await read().catch((error: unknown) => {
          expect(error).toBeInstanceOf(DataError);
        });
        // Rows are only there where a stream ends between its batches, of which a line tells.
        if (result) expect([stream, result.rows % 5, notes.length]).toEqual([true, 2, 1]);
      }
      const longer = new Blob([whole, new Uint8Array(8)]);
      expect(await failure(DataError, () => decodeDataset(longer, 'x'))).toMatch(
        stream ? /goes on after byte [\d,]+, where its stream ends/ : /does not end as an? \w+ file does/,
      );
    }
    const lines: string[] = [];
    const stopped = new Blob([bytesOf('list-f32.arrows').subarray(0, -8)]);
    expect((await decodeDataset(stopped, 'x', { onNote: (note) => lines.push(note) })).rows).toBe(12);
    expect(lines).toEqual([expect.stringMatching(/^x lacks the mark that ends an Arrow stream/)]);
  });

  it('any byte of any file', async () => {
    const damaged = [
      'list-f16.arrows',
      'fixed-f32.arrow',
      'beside.arrow',
      'columns.arrow',
      'list-f32-lz4.arrows',
      'fixed-f16-lz4.arrow',
      'list-f64-zstd.arrow',
      'long/linked-lz4.arrow',
      'saved/data-00000-of-00002.arrow',
    ];
    for (const name of damaged) {
      const whole = bytesOf(name);
      await fc.assert(
        fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
          const bytes = Uint8Array.from(whole);
          bytes[at] ^= change;
          const rows = await decodeDataset(new Blob([bytes]), 'x').catch((error) => {
            expect(error).toBeInstanceOf(DataError);
            expect(error.message).toMatch(/^x\b.*\.$/s);
            expect(error.message).not.toMatch(/undefined|cannot be read: /);
          });
          if (rows) expect(rows.data.every(Number.isFinite)).toBe(true);
        }),
        { numRuns: long ? 200 : 40 },
      );
    }
  });
});
