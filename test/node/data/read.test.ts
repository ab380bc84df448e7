import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readDataset } from '../../../src/node/data/read.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import {
  mnistNormalization,
  noNormalization,
  type ScalarNormalization,
} from '../../../src/sae/rows/dataset.js';
import type { DecodeOptions } from '../../../src/sae/rows/decode.js';
import { failure, temporaryFolder } from './folder.js';

const fixtures = fileURLToPath(new URL('../../fixtures/data/', import.meta.url));
const folder = temporaryFolder();
const fixture = (name: string) => join(fixtures, name);
const bytesOf = (name: string) => readFileSync(fixture(name));
const refusal = (file: string, in_dims?: number) => failure(DataError, () => readDataset(file, { in_dims }));

// What make.py put into the files.
const floats = Float32Array.from({ length: 12 }, (_, k) => k / 2 - 3);
const signed = Float32Array.from({ length: 12 }, (_, k) => 20 * k - 110);
const sequences = Float32Array.from({ length: 24 }, (_, k) => k / 2 - 3);
const bytes = Uint8Array.from({ length: 12 }, (_, k) => 20 * k);
const pixels = Uint8Array.from({ length: 24 }, (_, k) => 20 * (k % 13));

it('columns that pandas numbers are named so, and what is not a number is no name', async () => {
  const numbered = await readDataset(folder.write('numbered.csv', '0,1,2\n0.5,1,2\n'));
  expect([numbered.rows, ...numbered.data]).toEqual([1, 0.5, 1, 2]);
  const nan = folder.write('nan.csv', 'nan,nan\n1,2\n');
  expect(await refusal(nan)).toMatch(/nan\.csv, line 1, field 1, is "nan"; expected a finite number/);
  const spaces = folder.write('spaces.csv', '1 2 3\n4 5 6\n');
  expect(await refusal(spaces)).toMatch(
    /line 2, field 1, is "4 5 6"; expected a finite number\. Its numbers are separated by spaces; a table's are by /,
  );
  const words = folder.write('words.csv', 'the,0.5,1\nof,2,3\n');
  expect(await refusal(words)).toMatch(
    /line 1, field 1, is "the"; expected a finite number\. The first column is text: leave it out \(cut -d, -f2-\), and .* that --labels takes\.$/,
  );
  const one = folder.write('one.csv', '1,2\nx,y\n');
  expect(await refusal(one)).toMatch(/line 2, field 1, is "x"; expected a finite number\.$/);
});

describe('files that numpy and Python wrote', () => {
  it.each([
    'little-f4.npy',
    'big-f4.npy',
    'little-f8.npy',
    'big-f8.npy',
    'fortran-f8.npy',
    'little-f2.npy',
    'big-f2.npy',
    'version-2.npy',
    'version-3.npy',
    'little-f4.npy.gz',
    'rows-f4.idx2',
    'rows-f8.idx2',
    'rows-f16.safetensors',
    'rows-bf16.safetensors',
    'rows-f32.safetensors',
    'rows-f64.safetensors',
    'one.npz',
    'rows.csv',
    'rows.tsv',
    'semicolons.csv.gz',
  ])('%s: rows of floats', async (name) => {
    expect(await readDataset(fixture(name), { in_dims: 4 })).toEqual({
      name,
      rows: 3,
      in_dims: 4,
      data: floats,
      normalization: noNormalization,
    });
  });

  it.each(['i1.npy', 'little-i2.npy', 'big-i2.npy', 'little-i4.npy', 'big-i4.npy'])(
    '%s: rows of signed integers, which are taken as they are',
    async (name) => {
      const { data, normalization } = await readDataset(fixture(name), { in_dims: 4 });
      expect(data).toEqual(signed);
      expect(normalization).toEqual(noNormalization);
    },
  );

  it.each(['rows-i1.idx2', 'rows-i2.idx2', 'rows-i4.idx2'])('%s: the same in an IDX file', async (name) => {
    expect((await readDataset(fixture(name))).data).toEqual(signed);
  });

  it.each(['little-u2.npy', 'big-u2.npy', 'little-u4.npy', 'big-u4.npy'])(
    '%s: rows of unsigned integers, which are not divided as bytes are',
    async (name) => {
      expect((await readDataset(fixture(name))).data).toEqual(Float32Array.from(bytes));
    },
  );

  it('integers that f32 has not are rounded as numpy does it, and no f16 is', async () => {
    const { data } = await readDataset(fixture('rounded-i4.npy'));
    // np.load(...).astype('float32')
    expect([...data]).toEqual([16777216, -16777220, 2147483648, -2147483648]);
    expect([...(await readDataset(fixture('rounded-u4.npy'))).data]).toEqual([16777220, 4294967296]);
    const { data: halves } = await readDataset(fixture('extreme-f2.npy'));
    expect([...halves]).toEqual([65504, -65504, 2 ** -14, 2 ** -24, 1 + 2 ** -10]);
  });

  it('u1.npy: rows of bytes', async () => {
    const expected = { name: 'u1.npy', rows: 3, in_dims: 4, data: bytes, normalization: mnistNormalization };
    expect(await readDataset(fixture('u1.npy'))).toEqual(expected);
  });

  it.each(['images-u1.npy', 'fortran-images-u1.npy', 'images.idx3-ubyte', 'images.idx3-ubyte.gz'])(
    '%s: images of bytes',
    async (name) => {
      expect(await readDataset(fixture(name))).toEqual({
        name,
        rows: 2,
        in_dims: 12,
        image_shape: [3, 4],
        data: pixels,
        normalization: mnistNormalization,
      });
    },
  );

  const shapes: readonly [
    name: string,
    options: DecodeOptions,
    expected: readonly [rows: number, in_dims: number, image_shape?: readonly [number, number]],
    note: string,
  ][] = [
    ['sequences-f2.npy', {}, [6, 4], '(2, 3, 4) and is read as 6 rows of 4 values, its last dimension.'],
    [
      'sequences-f2.npy',
      { image_shape: [3, 4] },
      [2, 12, [3, 4]],
      '(2, 3, 4) and is read as 2 images of 3 x 4.',
    ],
    [
      'sequences-f2.npy',
      { image_shape: [2, 2] },
      [6, 4, [2, 2]],
      '(2, 3, 4) and is read as 6 images of 2 x 2.',
    ],
    ['sequences-f2.npy', { in_dims: 12 }, [2, 12, [3, 4]], '(2, 3, 4) and is read as 2 images of 3 x 4.'],
    ['fortran-images-f4.npy', {}, [6, 4], '(2, 3, 4) and is read as 6 rows of 4 values, its last dimension.'],
    [
      'fortran-4d-f4.npy',
      {},
      [12, 4],
      '(2, 2, 3, 4) and is read as 12 rows of 4 values, its last dimension.',
    ],
    [
      'fortran-4d-f4.npy',
      { in_dims: 24 },
      [2, 24],
      '(2, 2, 3, 4) and is read as 2 rows of 24 values, its last 3 dimensions.',
    ],
    ['images-u1.npy', {}, [2, 12, [3, 4]], '(2, 3, 4) and is read as 2 images of 3 x 4.'],
    [
      'images.idx3-ubyte',
      { image_shape: [6, 2] },
      [2, 12, [6, 2]],
      '(2, 3, 4) and is read as 2 images of 6 x 2.',
    ],
    [
      'wrong/4d.npy',
      { image_shape: [2, 2] },
      [1, 4, [2, 2]],
      '(1, 2, 2, 1) and is read as 1 image of 2 x 2.',
    ],
  ];
  it.each(shapes)(
    '%s, %o: of more than two dimensions, which is said',
    async (name, options, expected, note) => {
      const notes: string[] = [];
      const onNote = (sentence: string) => notes.push(sentence);
      const { rows, in_dims, image_shape, data } = await readDataset(fixture(name), { ...options, onNote });
      expect([rows, in_dims, ...(image_shape ? [image_shape] : [])]).toEqual(expected);
      const count = rows * in_dims;
      const values = Float32Array.from({ length: count }, (_, k) => k / 2 - 3);
      if (/images/.test(name)) expect([...data]).toEqual([...pixels]);
      else if (!/wrong/.test(name)) expect(data).toEqual(values);
      expect(notes).toEqual([`${fixture(name)} has the shape ${note}`]);
    },
  );

  it('images of bytes in a safetensors file', async () => {
    const { data, image_shape } = await readDataset(fixture('images-u8.safetensors'));
    expect([data, image_shape]).toEqual([pixels, [3, 4]]);
  });

  const picked: readonly [
    name: string,
    tensor: string | undefined,
    values: Float32Array,
    notes: readonly RegExp[],
  ][] = [
    [
      'chunk.safetensors',
      undefined,
      sequences,
      [
        /^Of the 2 arrays of .*, activation is read\.$/,
        /, tensor activation, has the shape \(2, 3, 4\) .* 6 rows/,
      ],
    ],
    ['rows-i8.safetensors', 'quantised', signed, []],
    ['rows-i8.safetensors', undefined, signed, [/quantised is read/]],
    ['two.safetensors', 'layers.1.acts', floats, []],
    ['two.safetensors', '*.1.act?', floats, [/layers\.1\.acts is read/]],
    ['two.safetensors', 'layers.0*', floats.map((value) => value + 100), [/layers\.0\.acts is read/]],
    [
      'chunk.npz',
      undefined,
      sequences,
      [
        /^Of the 2 arrays of .*, activation is read\.$/,
        /, array activation, has the shape \(2, 3, 4\) .* 6 rows/,
      ],
    ],
    ['two.npz', '*1*', floats, [/Of the 4 arrays of .*, layers\.1\.acts is read/]],
    ['two.npz', 'layers.0.acts', floats.map((value) => value + 100), []],
    ['names.csv', undefined, floats, [/^Line 1 of .*names\.csv has names, and is not read as a row\.$/]],
    ['quoted.csv', undefined, floats, [/^Line 1 of/]],
  ];
  it.each(picked)('%s, tensor %s', async (name, tensor, values, expected) => {
    const notes: string[] = [];
    const { data } = await readDataset(fixture(name), { tensor, onNote: (note) => notes.push(note) });
    expect(data).toEqual(values);
    expect(notes).toHaveLength(expected.length);
    expected.forEach((pattern, i) => {
      expect(notes[i]).toMatch(pattern);
    });
  });

  const unclear: readonly [name: string, tensor: string | undefined, sentence: RegExp][] = [
    [
      'two.safetensors',
      undefined,
      /has 2 arrays that may be rows; there are layers\.0\.acts \(F32 \[3, 4\]\), layers\.1\.acts \(F16 \[3, 4\]\)\. Name one with tensor/,
    ],
    ['two.safetensors', 'layers.*', /has 2 arrays that match layers\.\*; there are layers\.0/],
    ['two.safetensors', 'layers', /has no array layers; there are .*, mean \(F32 \[4\]\)\./],
    ['two.safetensors', 'mean', /, tensor mean, has 1 dimension, shape \(4,\); expected/],
    ['chunk.safetensors', 'tokens', /holds the array tokens of type I64; expected u8, /],
    [
      'wrong/tokens.safetensors',
      undefined,
      /has no array of u8, .* of two dimensions or more; there are tokens \(I64 \[2, 3\]\), mean/,
    ],
    [
      'two.npz',
      undefined,
      /has 2 arrays that may be rows; there are layers\.0\.acts \(f64 \[3, 4\]\), layers\.1\.acts/,
    ],
    ['two.npz', 'names', /holds the array names of type '<U1'; expected/],
    ['wrong/none.safetensors', undefined, /has no array of .*; it has none at all\./],
  ];
  it.each(unclear)('%s, tensor %s: which array is meant is not clear', async (name, tensor, sentence) => {
    const read = () => readDataset(fixture(name), { tensor });
    expect(await failure(DataError, read)).toMatch(sentence);
  });

  it('tensor, where no file names its arrays', async () => {
    const read = (names: readonly string[]) => readDataset(names.map(fixture), { tensor: 'acts' });
    expect(await failure(ConfigError, () => read(['little-f4.npy', 'rows.csv']))).toBe(
      'tensor is acts, which picks an array of a file that names its arrays, and no file here does that. Leave it out.',
    );
    expect((await read(['little-f4.npy', 'one.npz'])).rows).toBe(6);
  });

  it('a table of more than a piece: every line is read, and the number of a wrong one is right', async () => {
    const lines = Array.from(
      { length: 30_000 },
      (_, i) => `${i},${-i / 4},${i % 7},1e-3,-0.125,12345678,0,${i}.5`,
    );
    const { data, rows } = await readDataset(folder.write('long.csv', lines.join('\r\n')));
    expect([rows, data[8 * 29_999], data[8 * 29_999 + 7], data.length]).toEqual([
      30_000, 29_999, 29_999.5, 240_000,
    ]);
    expect(data.subarray(8 * 14_321, 8 * 14_322)).toEqual(
      Float32Array.from([14_321, -3580.25, 14_321 % 7, 1e-3, -0.125, 12_345_678, 0, 14_321.5]),
    );
    // A name of two lines counts as two.
    const named = folder.write('named.csv', '"a\n1",b\n1,2\n3,x\n');
    expect(await refusal(named)).toMatch(/, line 4, field 2, is "x"/);
    lines[29_000] = '1,2';
    expect(await refusal(folder.write('long.csv', lines.join('\r\n')))).toMatch(
      /, line 29001, has 2 fields; expected 8/,
    );
    expect(await refusal(fixture('rows.csv'), 5)).toMatch(/has 4 values a row; expected 5/);
    expect((await readDataset(fixture('rows.csv'), { image_shape: [2, 2] })).image_shape).toEqual([2, 2]);
  });

  it('an image_shape of another number of values', async () => {
    const shaped = () => readDataset(fixture('sequences-f2.npy'), { image_shape: [5, 5] });
    expect(await failure(ConfigError, shaped)).toMatch(
      /^image_shape 5,5 is that of 25 values, and the rows of .*sequences-f2\.npy have 4\. Name/,
    );
  });

  it('gzip is told by its magic number, not by a name', async () => {
    const { data } = await readDataset(folder.write('plain.npy', gzipSync(bytesOf('big-f8.npy'))));
    expect(data).toEqual(floats);
  });

  it('values that lie across the pieces in which a file is read', async () => {
    const values = Float64Array.from({ length: 400_003 }, (_, k) => Math.fround(Math.sin(k)));
    const header = Buffer.from([0, 0, 14, 2, ...u32(1), ...u32(values.length)]);
    const body = Buffer.from(values.slice().buffer).swap64();
    const whole = Buffer.concat([header, body]);
    for (const content of [whole, gzipSync(whole, { level: 1 })]) {
      const { data } = await readDataset(folder.write('long.idx', content));
      expect(Buffer.from(data.buffer).equals(Buffer.from(Float32Array.from(values).buffer))).toBe(true);
    }
  });

  it('keeps the name and the normalisation that it is given', async () => {
    const dataset = await readDataset(fixture('u1.npy'), { name: 'mine', normalize: { mean: 1, std: 2 } });
    expect(dataset.name).toBe('mine');
    expect(dataset.normalization).toEqual({ mean: 1, std: 2 });
    // 0, 20, ... 220 as numpy gives: (u8 / 255).mean(), (u8 / 255).std()
    const unit = (await readDataset(fixture('u1.npy'), { normalize: 'unit' }))
      .normalization as ScalarNormalization;
    expect(unit.mean).toBeCloseTo(0.4313725490196078, 14);
    expect(unit.std).toBeCloseTo(0.2707492180027187, 14);
  });
});

const u32 = (value: number) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

/** A .npy file of version 1 with this header. */
function npy(header: string, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const text = `${header}\n`;
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, text.length, 0]),
    Buffer.from(text),
    body,
  ]);
}

const f4 = (shape: string) => `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;

/** The files of each type by numpy's own name for it. */
const typed: Readonly<Record<string, string>> = {
  '|u1': 'u1.npy',
  '|i1': 'i1.npy',
  ...Object.fromEntries(
    ['f2', 'f4', 'f8', 'u2', 'u4', 'i2', 'i4'].flatMap((type) => [
      [`<${type}`, `little-${type}.npy`],
      [`>${type}`, `big-${type}.npy`],
    ]),
  ),
};
/** The values of files by their types' kinds. */
const valuesOfKind: Readonly<Record<string, Uint8Array | Float32Array>> = {
  f: floats,
  u: Float32Array.from(bytes),
  i: signed,
};
/** A file whose header says something else about the type. */
function renamed(name: string, descr: string): string {
  const whole = bytesOf(name);
  const text = whole
    .toString('latin1', 10, 128)
    .trimEnd()
    .replace(/'[|<>][fui]\d'/, `'${descr}'`)
    .padEnd(117);
  const header = Buffer.concat([whole.subarray(0, 10), Buffer.from(`${text}\n`, 'latin1')]);
  return folder.write('renamed.npy', Buffer.concat([header, whole.subarray(128)]));
}

const names: Record<string, string> = JSON.parse(readFileSync(fixture('types.json'), 'utf8'));
it('every name that numpy has for the types', async () => {
  expect(Object.keys(names).length).toBeGreaterThan(120);
  for (const [name, own] of Object.entries(names)) {
    const { data } = await readDataset(renamed(typed[own], name));
    expect(data, name).toEqual(own === '|u1' ? bytes : valuesOfKind[own[1]]);
  }
});

it.each(['constructor', '__proto__', 'f3', 'g', '<i8', '<V2', 'float128', ''])(
  'not a type of the name "%s"',
  async (name) => {
    expect(await refusal(renamed('little-f4.npy', name))).toContain(
      `holds values of type '${name}'; expected u8, i8, u16, i16, u32, i32, f16, f32 or f64, such as '|u1', '<i4' or '<f4'`,
    );
  },
);

describe('files that are not what they should be', () => {
  it.each([
    ['wrong/1d.npy', /1 dimension, shape \(4,\); expected .*\(rows, values\)/],
    ['wrong/0d.npy', /0 dimensions, shape \(\); expected/],
    ['wrong/4d.npy', /4 dimensions, shape \(1, 2, 2, 1\); expected/],
    ['wrong/labels.idx1-ubyte', /1 dimension, shape \(10,\); expected/],
    ['wrong/i8.npy', /type '<i8'; expected u8, i8, .* or f64/],
    ['wrong/bool.npy', /type '\|b1'; expected/],
    ['wrong/complex.npy', /type '<c16'; expected/],
    ['wrong/fields.npy', /type \[\('a', '<f4'\), \('b', '<i4'\)\]; expected/],
    ['wrong/code-10.idx2', /type 0x0a \(byte 2\); expected 0x08 \(u8\), 0x09 \(i8\), .* or 0x0e \(f64\)\./],
    ['wrong/no-rows.npy', /has no values: its shape is \(0, 4\)/],
    ['wrong/no-columns.npy', /has no values: its shape is \(4, 0\)/],
    ['wrong/nan.safetensors', /has NaN at row 1, column 2 \(both from 0; byte \d+\)/],
    ['wrong/beyond-f32.safetensors', /has 1e\+300, which is beyond the range of f32, at row 1, column 2/],
    ['wrong/no-rows.safetensors', /has no values: its shape is \(0, 4\)/],
    ['wrong/negative.safetensors', /the tensor acts has no proper shape and data_offsets/],
    ['wrong/type.safetensors', /the tensor acts is of type "F4", and U8, .* was expected/],
    ['wrong/header-beyond.safetensors', /at byte 0 it claims a header of 1099511627776 bytes, and 31 follow/],
    ['wrong/cut.safetensors', /the tensor acts ends at byte \d+, and the file at \d+: it is truncated/],
    ['wrong/longer.safetensors', /it has 3 bytes after its last tensor, from byte \d+ on/],
    ['wrong/gzipped.safetensors.gz', /it is packed with gzip, .* Unpack it with gunzip/],
    [
      'wrong/texts.npz',
      /has no array of u8, .* of two dimensions or more; there are arr_0 \('<U1' \[1, 2\]\)/,
    ],
    ['wrong/nan.npz', /, array arr_0, has NaN at row 1, column 2 \(both from 0; byte 176\)/],
    ['wrong/empty.npz', /it is a ZIP archive without arrays of numpy\.savez/],
    ['wrong/torch.npz', /not a file of torch\.save that can be read: its pickle is truncated or damaged/],
    ['wrong/other.npz', /its part a\.npy is not a \.npy file with a whole header/],
    [
      'wrong/flipped.npz',
      /its part .*\.npy is damaged: its zip archive has the checksum \(CRC-32\) of other/,
    ],
    ['wrong/cut.npz', /its zip archive is truncated or damaged/],
    ['wrong/bomb.npz', /its part acts\.npy claims 2147483648 bytes, and \d+ packed ones cannot hold that/],
    ['wrong/ragged.csv', /, line 4, has 1 field; expected 2, as in line 1\./],
    ['wrong/empty-field.csv', /, line 2, field 2, is empty; expected a number\./],
    ['wrong/text.csv', /, line 2, field 2, is "four"; expected a finite number\./],
    ['wrong/nan.csv', /, line 2, field 1, is "nan"; expected a finite number\./],
    ['wrong/beyond-f32.csv', /, line 2, field 2, is "-1e300", which is beyond the range of f32; expected/],
    ['wrong/index.csv', /, line 1, has no name in field 1, as where pandas writes its index/],
    ['wrong/names-only.csv', /has no rows: its line 1 has names/],
    ['wrong/blank.csv', /has blank lines only/],
    ['wrong/quote.csv', /, line 2, has a quote that does not end/],
    ['wrong/hex.csv', /, line 1, field 1, is "x"; expected a finite number/],
    ['wrong/utf-16.csv', /is not text in UTF-8, at byte 0 or after it/],
    ['wrong/table.txt', /neither a \.npy, .* nor a \.tsv file/],
    ['wrong/nan.npy', /has NaN at row 1, column 2 \(both from 0; byte 176\); expected finite/],
    ['wrong/fortran-nan.npy', /has NaN at row 1, column 2 \(both from 0; byte 184\)/],
    ['wrong/inf.npy', /has -Infinity at row 1, column 2/],
    ['wrong/beyond-f32.npy', /has 1e\+300, which is beyond the range of f32, at row 1, column 2/],
  ])('%s', async (name, message) => {
    const text = await refusal(fixture(name));
    expect(text).toMatch(message);
    expect(text).toContain(fixture(name));
  });

  it('a width other than in_dims', async () => {
    expect(await refusal(fixture('u1.npy'), 784)).toMatch(/4 values a row; expected 784 \(in_dims/);
  });

  it.each(['little-f4.npy', 'images-u1.npy', 'images.idx3-ubyte', 'rows-f8.idx2'])(
    '%s cut anywhere, or longer by a byte',
    async (name) => {
      const whole = bytesOf(name);
      for (let length = 0; length < whole.length; length++) {
        const text = await refusal(folder.write('cut', whole.subarray(0, length)));
        if (length === 0) expect(text).toMatch(/is empty; expected/);
        else expect(text).toMatch(/neither|ends within its header|ends at byte/);
      }
      const longer = Buffer.concat([whole, Buffer.from([0])]);
      expect(await refusal(folder.write('longer', longer))).toMatch(
        `but goes on to byte ${longer.length}. The file is too long or its header is wrong.`,
      );
      expect(await refusal(folder.write('longer.gz', gzipSync(longer)))).toMatch(
        `goes on after byte ${whole.length} of the unpacked data`,
      );
      const shorter = gzipSync(whole.subarray(0, -1));
      expect(await refusal(folder.write('shorter.gz', shorter))).toMatch(
        `ends at byte ${whole.length - 1} of the unpacked data, where its header claims ${whole.length}`,
      );
    },
  );

  it('a gzip stream cut anywhere, damaged, or followed by something else', async () => {
    const whole = bytesOf('little-f4.npy.gz');
    for (let length = 2; length < whole.length; length++) {
      expect(await refusal(folder.write('cut.gz', whole.subarray(0, length)))).toMatch(
        /is truncated: its gzip stream/,
      );
    }
    const damaged = Buffer.from(whole);
    damaged[damaged.length - 6] ^= 1; // in the checksum
    expect(await refusal(folder.write('damaged.gz', damaged))).toMatch(
      /is damaged: its gzip stream .*incorrect data check/,
    );
    const followed = Buffer.concat([whole, Buffer.from('more')]);
    expect(await refusal(folder.write('followed.gz', followed))).toMatch(/is damaged: its gzip stream/);
    expect(await refusal(folder.write('text.gz', gzipSync('1,2,3')))).toMatch(/neither .* inside its gzip/);
  });

  it('a header that claims terabytes is refused before anything is allocated', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const huge = [
      npy(f4('(1099511627776, 784)')),
      npy(f4(`(${'9'.repeat(100)}, 4)`)),
      Buffer.from([0, 0, 8, 3, ...u32(0xffffffff), ...u32(0xffffffff), ...u32(0xffffffff), 1]),
    ];
    for (const content of huge) {
      expect(await refusal(folder.write('huge', content))).toMatch(/claims .* rows .* but ends at byte/);
      expect(await refusal(folder.write('huge.gz', gzipSync(content)))).toMatch(
        /bytes of gzip cannot hold that/,
      );
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64e6);
  });

  it('a gzip stream that unpacks to far more than its header claims is not unpacked to its end', async () => {
    const bomb = gzipSync(Buffer.concat([npy(f4('(1, 4)')), Buffer.alloc(100_000_000)]), { level: 1 });
    expect(await refusal(folder.write('bomb.gz', bomb))).toMatch(/goes on after byte/);
  });

  it.each([
    [
      'a version of the future',
      Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY\x09\x00xxxxxx')]),
      /version 9\.0 \(byte 6\)/,
    ],
    [
      'a header of 4 GB',
      Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\xff', 'latin1'),
      /claims a \.npy header of 4294967295/,
    ],
    ['no dictionary', npy('hello there'), /is not a dictionary/],
    ['a key too few', npy(`{'descr': '<f4', 'shape': (1, 1)}`), /lacks a key/],
    [
      'a key too many',
      npy(`{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'x': True}`),
      /one too many/,
    ],
    ['a negative size', npy(f4('(-1, 4)')), /has shape \(-1, 4\)/],
    ['a size that is no whole number', npy(f4('(1.5, 4)')), /has shape \(1.5, 4\)/],
    [
      'an order that is no boolean',
      npy(`{'descr': '<f4', 'fortran_order': (), 'shape': (1, 1)}`),
      /fortran_order/,
    ],
    [
      'a type that is no text',
      npy(`{'descr': True, 'fortran_order': False, 'shape': (1, 1)}`),
      /type True; expected/,
    ],
    ['Python code', npy(`{'descr': '<f4', 'fortran_order': False, 'shape': exit()}`), /cannot be understood/],
  ])('a .npy header with %s', async (_, content, message) => {
    expect(await refusal(folder.write('header.npy', content))).toMatch(message);
  });

  it('keys in another order, double quotes and the long integers of Python 2 are fine', async () => {
    const header = `{"shape": (1L, 2L), "fortran_order": False, "descr": "<f4"}`;
    const file = folder.write('old.npy', npy(header, new Uint8Array(new Float32Array([1, 2]).buffer)));
    expect((await readDataset(file)).data).toEqual(new Float32Array([1, 2]));
  });

  it('a missing file, a folder, a file below a file, and what is no file on disk', async () => {
    expect(await refusal(join(folder.path, 'nowhere.npy'))).toMatch(/^There is no file .*nowhere\.npy\./);
    const empty = join(folder.path, 'empty');
    mkdirSync(empty);
    expect(await refusal(empty)).toMatch(/is a folder without rows; expected/);
    expect(await refusal(join(fixture('u1.npy'), 'below'))).toMatch(/a part of its path is a file/);
    expect(await refusal('with\0zero')).toMatch(/cannot be read/);
    if (process.platform !== 'win32') expect(await refusal('/dev/null')).toMatch(/is not a regular file/);
  });

  it.skipIf(process.platform === 'win32')('a file that may not be read', async () => {
    const file = folder.write('secret.npy', bytesOf('u1.npy'));
    const { chmodSync } = await import('node:fs');
    chmodSync(folder.path, 0o755);
    chmodSync(file, 0o000);
    // Root may read everything: become somebody else for a moment.
    const root = process.geteuid?.() === 0;
    try {
      if (root) process.seteuid?.(65534);
      expect(await refusal(file)).toMatch(/cannot be read: permission denied/);
    } finally {
      if (root) process.seteuid?.(0);
      rmSync(file);
    }
  });
});
