import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { loadDatasets, openDatasets } from '../../../src/node/data/datasets.js';
import { openParts } from '../../../src/node/data/read.js';
import { DataError } from '../../../src/sae/errors.js';
import { takeRows } from '../../../src/sae/rows/blocks.js';
import type { Rows } from '../../../src/sae/rows/source.js';
import { npy } from '../../cli/sae.js';
import { failure, temporaryFolder } from './folder.js';

const folder = temporaryFolder();
const in_dims = 3;

/** Rows of one value each, by which they are told. */
const file = (name: string, first: number, rows: number, broken: readonly number[] = []) =>
  folder.write(
    name,
    npy(
      [rows, in_dims],
      Float32Array.from({ length: rows * in_dims }, (_, i) =>
        broken.includes(Math.floor(i / in_dims)) && i % in_dims === 1
          ? Number.NaN
          : first + Math.floor(i / in_dims),
      ),
    ),
  );
const x = file('x.npy', 0, 2000);
const y = file('y.npy', 2000, 1000);
const broken = file('broken.npy', 3000, 50, [0, 7, 8, 49]);

async function valuesOf(rows: Rows): Promise<number[]> {
  const { data } = await takeRows(
    rows,
    Array.from({ length: rows.rows }, (_, row) => row),
  );
  return Array.from({ length: rows.rows }, (_, row) => data[row * in_dims]);
}

describe('rows that are held out', () => {
  // In memory, and not.
  it.each([1e9, 100])(
    'are about their share, and the same whatever other files there are: %d bytes',
    async (most_memory) => {
      const split = async (names: string[]) => {
        const { train, validation } = await openParts(names, { split: 0.1, most_memory });
        const [training, held] = [await valuesOf(train), await valuesOf(validation!)];
        expect([...training, ...held].sort((a, b) => a - b)).toEqual(
          Array.from({ length: names.length === 1 ? 2000 : 3000 }, (_, i) => i),
        );
        return held;
      };
      const [one, both] = [await split([x]), await split([y, x])];
      // 2000 rows: 200, more or less 4 standard deviations.
      expect(Math.abs(one.length - 200)).toBeLessThan(4 * Math.sqrt(180));
      expect(both.filter((row) => row < 2000)).toEqual(one);
      const packed = `${x}.gz`;
      writeFileSync(packed, gzipSync(readFileSync(x)));
      expect(await split([packed])).toEqual(one);
      const other = both.filter((row) => row >= 2000).map((row) => row - 2000);
      expect(other).not.toEqual(one.filter((row) => row < 1000));
    },
  );

  it('have the normalisation that is fitted to the others', async () => {
    const { train, validation } = await loadDatasets({ data: [x], split: 0.3, normalize: 'unit' });
    const values = await valuesOf(train);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(train.normalization).toMatchObject({ mean: expect.closeTo(mean, 3) });
    expect(validation!.normalization).toEqual(train.normalization);
  });

  it('can be digits', async () => {
    const { train, validation } = await openDatasets({ dataset: 'mnist-10k', split: 0.05 });
    expect(train.rows + validation!.rows).toBe(10_000);
    expect(Math.abs(validation!.rows - 500)).toBeLessThan(4 * Math.sqrt(475));
  });

  it('are at least one', async () => {
    expect(await failure(DataError, () => loadDatasets({ data: file('few.npy', 0, 2), split: 1e-9 }))).toBe(
      'Of the 2 rows of few.npy, none is left to hold out with split 1e-9.',
    );
  });
});

describe('rows with values that are not finite', () => {
  it.each([1e9, 100])('are left out if that is wanted, and named: %d bytes', async (most_memory) => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const { train } = await openParts([x, broken], { nonfinite: 'skip', most_memory, onNote });
    const good = Array.from({ length: 50 }, (_, i) => 3000 + i).filter(
      (row) => ![3000, 3007, 3008, 3049].includes(row),
    );
    expect(await valuesOf(train)).toEqual([...Array.from({ length: 2000 }, (_, i) => i), ...good]);
    expect(notes).toEqual([
      '4 rows of x.npy and 1 more file with values that are not finite are left out, the first row 0 of broken.npy (from 0).',
    ]);
  });

  it('are left out of held-out rows, too', async () => {
    const { validation } = await loadDatasets({ data: x, validation: broken, nonfinite: 'skip' });
    expect(validation!.rows).toBe(46);
  });

  it('end the reading otherwise', async () => {
    expect(await failure(DataError, () => loadDatasets({ data: broken }))).toMatch(
      /has NaN at row 0, column 1/,
    );
  });
});

describe('reading before rows are used', () => {
  const reason = new Error('enough');
  // More than is read at a time: 18 MB.
  const rows = 1_500_000;
  const big = folder.write('big.npy', npy([rows, in_dims], new Float32Array(rows * in_dims).fill(1)));
  const packed = folder.write('big.npy.gz', gzipSync(readFileSync(big)));
  const placed = { most_memory: 100 };

  it.each([
    ['into memory', big, { most_memory: 1e9 }],
    ['into a temporary file', packed, placed],
    ['for a normalisation', big, { ...placed, normalize: 'rms' }],
    ['for what is fitted to a part', big, { ...placed, normalize: 'rms', split: 0.05 }],
    ['for what is not finite', big, { ...placed, nonfinite: 'skip' }],
  ] as const)('is told of, and ends with the signal: %s', async (_, data, options) => {
    const told: (readonly [number, number | undefined])[] = [];
    const { train } = await openParts(data, { ...options, onRows: (...some) => told.push(some) });
    expect(told.length).toBeGreaterThan(1);
    expect(told.at(-1)).toEqual([train.rows, train.rows]);
    expect(told.every(([done], i) => done > (told[i - 1]?.[0] ?? 0))).toBe(true);
    const controller = new AbortController();
    const { signal } = controller;
    const stopped = openParts(data, { ...options, signal, onRows: () => controller.abort(reason) });
    await expect(stopped).rejects.toBe(reason);
  });

  it('does not end what reads them afterwards', async () => {
    const controller = new AbortController();
    const { train } = await openParts(big, { ...placed, normalize: 'rms', signal: controller.signal });
    controller.abort(reason);
    expect((await takeRows(train, [rows - 1])).data).toEqual(new Float32Array(in_dims).fill(1));
  });
});
