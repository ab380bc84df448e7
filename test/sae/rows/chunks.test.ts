import fc from 'fast-check';
import { expect, test } from 'vitest';
import { randomPair, shuffle } from '../../../src/sae/model/random.js';
import { WindowSizes } from '../../../src/sae/rows/chunks.js';
import { noNormalization } from '../../../src/sae/rows/dataset.js';
import type { RowSource } from '../../../src/sae/rows/source.js';

const megabyte = 2 ** 20;
const range = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => first + i);

const source = (rows: number, in_dims: number): RowSource => ({
  name: 'rows',
  rows,
  in_dims,
  type: 'u8',
  normalization: noNormalization,
  read: () => new Uint8Array(),
});

test('windows take the chunks of any order one after another, each row once', () => {
  const bytes = fc.constantFrom(1, megabyte / 4, megabyte, 8 * megabyte);
  const property = fc.property(
    fc.integer({ min: 1, max: 3000 }),
    fc.integer({ min: 1, max: 700 }),
    bytes,
    fc.integer(),
    (rows, size, rowBytes, seed) => {
      const sizes = WindowSizes.of(source(rows, rowBytes), size);
      const { chunkRows, chunks, count } = sizes;
      const order = Uint32Array.from({ length: chunks }, (_, chunk) => chunk);
      shuffle(order, randomPair(seed).forOrder);
      const expected = [...order].flatMap((chunk) =>
        range(chunk * chunkRows, Math.min(rows, (chunk + 1) * chunkRows)),
      );
      const windows = range(0, count).map((window) =>
        sizes.runs(order, window).flatMap(([first, end]) => range(first, end)),
      );
      expect(windows.flat()).toEqual(expected);
      expect(windows.map(({ length }) => length)).toEqual(range(0, count).map((w) => sizes.rowsOf(w)));
    },
  );
  fc.assert(property, { seed: 5, numRuns: 200 });
});

test.each([
  // Rows of 3 KiB in windows of 128 MiB: chunks of 1 MiB.
  [1_000_000, 43_690, 3072, 341],
  // Small windows hold 16 chunks or more.
  [1_000_000, 320, 3072, 20],
  [47, 20, 9, 1],
  // All rows in one window are one chunk.
  [47, 47, 9, 47],
])('of %d rows in windows of %d, %d bytes each, %d are a chunk', (rows, size, rowBytes, chunkRows) => {
  expect(WindowSizes.of(source(rows, rowBytes), size).chunkRows).toBe(chunkRows);
  expect(WindowSizes.of({ ...source(rows, rowBytes), once: true }, size).chunkRows).toBe(rows);
});
