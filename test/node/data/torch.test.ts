import { readFileSync, truncateSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDataset } from '../../../src/node/data/read.js';
import { rowsFile } from '../../../src/node/data/rows-file.js';
import { DataError } from '../../../src/sae/errors.js';
import { decodeDataset } from '../../../src/sae/rows/decode.js';
import { torch } from '../../../src/sae/rows/formats/torch-rows.js';
import { f32Bytes, torchFile } from '../../support/torch-file.js';
import { zipFile } from '../../support/zip-file.js';
import { failure, temporaryFolder } from './folder.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/rows/${name}`, import.meta.url));
const folder = temporaryFolder();
const floats = Float32Array.from({ length: 12 }, (_, k) => k / 2 - 3);
const signed = Float32Array.from({ length: 12 }, (_, k) => 20 * k - 110);
const bytes = Uint8Array.from({ length: 12 }, (_, k) => 20 * k);
const sequences = Float32Array.from({ length: 24 }, (_, k) => k / 2 - 3);

describe('files of torch.save', () => {
  const tensors: readonly (readonly [string, string | undefined, Float32Array | Uint8Array])[] = [
    ...['f64', 'f32', 'f16', 'bf16'].map((type) => [`tensor-${type}.pt`, undefined, floats] as const),
    ...['i8', 'i16', 'i32'].map((type) => [`tensor-${type}.pt`, undefined, signed] as const),
    ['tensor-u8.pt', undefined, bytes],
    ['activault.pt', undefined, sequences],
    ['activault.pt', 'states', sequences],
    ['nested.pth', 'layers.1.acts', floats],
    ['nested.pth', '*.0.acts', floats.map((value) => value + 100)],
    ['parameter.pt', undefined, floats],
    ['views.pt', 'transposed', floats],
    ['views.pt', 'columns', floats],
    ['views.pt', 'every-other', floats],
    ['views.pt', 'reversed-dims', sequences],
    ['views.pt', 'tail', sequences],
  ];
  it.each(tensors)('%s, tensor %s', async (name, tensor, values) => {
    const { data, in_dims, rows } = await readDataset(fixture(name), { tensor });
    expect(data).toEqual(values);
    expect([in_dims, rows]).toEqual([4, values.length / 4]);
    // As a page reads it.
    const blob = new Blob([readFileSync(fixture(name))]);
    expect((await decodeDataset(blob, name, { tensor })).data).toEqual(values);
  });

  it('rows from their places, where the values of a row lie together', async () => {
    for (const [name, tensor, values] of tensors) {
      const { at, rows } = await torch.open(await rowsFile(fixture(name)), { tensor });
      expect(at === undefined, tensor).toBe(/transposed|reversed|every/.test(tensor ?? ''));
      for (let first = 0; at && first < rows!; first++) {
        for (let end = first + 1; end <= rows!; end++) {
          expect(await at(first, end)).toEqual(values.subarray(4 * first, 4 * end));
        }
      }
    }
  });

  it('other shapes, and what was decided', async () => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const { in_dims, rows, image_shape } = await readDataset(fixture('activault.pt'), {
      image_shape: [3, 4],
      onNote,
    });
    expect([in_dims, rows, image_shape]).toEqual([12, 2, [3, 4]]);
    expect(notes).toEqual([
      expect.stringMatching(/^Of the 2 arrays of .*activault\.pt, states is read\.$/),
      expect.stringMatching(/, tensor states, has the shape \(2, 3, 4\) and is read as 2 images of 3 x 4\.$/),
    ]);
    const tail = await readDataset(fixture('views.pt'), { tensor: 'tail', in_dims: 12 });
    expect([tail.rows, tail.data]).toEqual([2, sequences]);
    const whole = await readDataset(fixture('views.pt'), { tensor: 'reversed-dims', in_dims: 12 });
    expect([whole.rows, whole.data]).toEqual([2, sequences]);
  });

  it.each([
    ['views.pt', undefined, /has 5 arrays that may be rows; there are transposed \(F32 \[3, 4\]\), columns/],
    ['nested.pth', '*acts', /has 2 arrays that match \*acts; there are layers\.0\.acts/],
    [
      'nested.pth',
      'acts',
      /has no array acts; there are layers\.0\.acts .*, layers\.1\.mean \(F32 \[4\]\)\./,
    ],
    [
      'wrong/no-rows.pt',
      undefined,
      /has no array of u8, .*; there are ids \(I64 \[2, 3\]\), mask \(BOOL \[2, 3\]\), one \(F32/,
    ],
    ['wrong/no-rows.pt', 'ids', /holds the array ids of type I64; expected u8, .*\. Convert it/],
    ['wrong/number.pt', undefined, /has no array of .*; it has none at all/],
    ['wrong/empty.pt', undefined, /has no values: its shape is \(0, 4\)/],
    ['wrong/legacy.pt', undefined, /saved by PyTorch before 1\.6\. Load it there and save it once more/],
    [
      'wrong/module.pt',
      undefined,
      /names "torch\.nn\.modules\.linear\.Linear", which no dictionary of tensors/,
    ],
    ['wrong/numpy.pt', undefined, /its pickle names "numpy\.core\.multiarray\._reconstruct", which/],
    ['wrong/complex.pt', undefined, /its pickle names "torch\.ComplexFloatStorage", which no/],
    ['wrong/nan.pt', undefined, /nan\.pt has NaN at row 1, column 2 \(both from 0; byte 344\)/],
    ['wrong/nan-transposed.pt', undefined, /has NaN at row 1, column 2 \(both from 0; byte 348\)/],
  ])('%s, tensor %s, is refused', async (name, tensor, sentence) => {
    const message = await failure(DataError, () => readDataset(fixture(name), { tensor }));
    expect(message).toMatch(sentence);
    expect(message).toContain(fixture(name));
  });

  it('where a value that is not finite is said to be, it is', () => {
    for (const [name, byte] of [
      ['wrong/nan.pt', 344],
      ['wrong/nan-transposed.pt', 348],
    ] as const) {
      expect(readFileSync(fixture(name)).readFloatLE(byte)).toBeNaN();
    }
  });

  it('with tensors in themselves, in each other, and far inside', async () => {
    const deep = torchFile({ a: { b: { c: { d: { shape: [2, 2], bytes: f32Bytes([1, 2, 3, 4]) } } } } });
    const { data } = await readDataset(folder.write('deep.pt', deep), { tensor: 'a.b.c.d' });
    expect([...data]).toEqual([1, 2, 3, 4]);
    // EMPTY_LIST BINPUT 0, then 2^17 lists around it, of which each is in itself as well.
    const lists = Array.from({ length: 2 ** 17 }, () => [
      0x5d, 0x71, 1, 0x68, 0, 0x61, 0x68, 1, 0x61, 0x71, 0,
    ]);
    const pickle = Uint8Array.from([0x80, 2, 0x5d, 0x71, 0, ...lists.flat(), 0x2e]);
    const file = folder.write('loop.pt', zipFile({ 'x/data.pkl': pickle }));
    expect(await failure(DataError, () => readDataset(file))).toMatch(/it has none at all/);
  });

  it('packed, or in gzip', async () => {
    const file = torchFile({ a: { shape: [2, 2], bytes: f32Bytes([1, 2, 3, 4]) } });
    expect((await readDataset(folder.write('a.pt', file))).rows).toBe(2);
    const { gzipSync } = await import('node:zlib');
    const zipped = folder.write('a.pt.gz', gzipSync(file));
    expect(await failure(DataError, () => readDataset(zipped))).toMatch(
      /it is packed with gzip, .* Unpack it/,
    );
  });

  it('cut while they are read', async () => {
    const path = folder.write('shrinks.pt', readFileSync(fixture('tensor-f32.pt')));
    const { at } = await torch.open(await rowsFile(path), {});
    truncateSync(path, 540);
    expect(await failure(DataError, () => at!(0, 3))).toMatch(
      /was written to while it was read: it had 756 bytes/,
    );
  });

  it('with a wrong byte, or cut: the same rows, other values, or a sentence', async () => {
    const whole = new Uint8Array(readFileSync(fixture('activault.pt')));
    const read = async (content: Uint8Array<ArrayBuffer>) => {
      const { data, in_dims } = await decodeDataset(new Blob([content]), 'x.pt');
      expect(data.length % in_dims).toBe(0);
    };
    const byte = fc.nat(whole.length - 1);
    const mutated = fc.asyncProperty(
      byte,
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, by, cut) => {
        const content = cut ? whole.slice(0, at) : whole.slice();
        if (!cut) content[at] ^= by;
        await read(content).catch((error) => expect(error).toBeInstanceOf(DataError));
      },
    );
    await fc.assert(mutated, { seed: 7, numRuns: 400 });
  });
});
