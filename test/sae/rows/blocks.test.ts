import { expect, test } from 'vitest';
import { blocks, evenly, everyRow, inPieces } from '../../../src/sae/rows/blocks.js';
import { noNormalization } from '../../../src/sae/rows/dataset.js';
import type { StoredRows } from '../../../src/sae/rows/rows.js';

test('rows of many bytes are looked at in blocks that are spread evenly, those of few all', () => {
  // Rows of 1 MiB, 16 of which are a block.
  const source = {
    name: 'rows',
    rows: 1000,
    in_dims: 2 ** 18,
    type: 'f32',
    normalization: noNormalization,
    read: () => new Float32Array(),
  } as const;
  const all = [...everyRow(source)];
  expect(all).toHaveLength(63);
  expect([...evenly(source, 2 ** 30)]).toEqual(all);
  expect([...evenly(source, 2 ** 28)]).toEqual(all.filter((_, i) => i % 4 === 0));
});

// Rows of 64 KiB, 16 of which are a piece.
const long = {
  name: 'rows',
  rows: 1000,
  in_dims: 2 ** 14,
  type: 'f32',
  normalization: noNormalization,
} as const;
const pieces = () => inPieces([[0, 1000]], 2 ** 16);

test('many runs are read into the same memory', async () => {
  const used = new Set<ArrayBufferLike>();
  const source = {
    ...long,
    async read(first: number, end: number, into?: StoredRows) {
      used.add(into!.buffer);
      return into!.fill(first, 0, (end - first) * long.in_dims);
    },
  };
  let row = 0;
  for await (const { values, first, rows } of blocks(source, pieces(), [])) {
    expect(first).toBe(row);
    // What is read ahead does not reach what is used.
    await new Promise(setImmediate);
    expect(values.every((value) => value === first)).toBe(true);
    row += rows;
  }
  expect(row).toBe(1000);
  // Four are read ahead while one is used.
  expect(used.size).toBeLessThanOrEqual(6);
});

test('rows that are in memory stay as they are where others are read into memory', async () => {
  const data = new Float32Array(long.rows * long.in_dims).fill(7);
  const source = {
    ...long,
    read: (first: number, end: number) => data.subarray(first * long.in_dims, end * long.in_dims),
  };
  const memory: StoredRows[] = [];
  for await (const { values } of blocks(source, pieces(), memory)) expect(values.buffer).toBe(data.buffer);
  for (const one of memory) {
    expect(one.buffer).not.toBe(data.buffer);
  }
});
