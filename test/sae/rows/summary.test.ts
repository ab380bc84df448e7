import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openFiles, readDataset } from '../../../src/node/data/read.js';
import { Duplicates } from '../../../src/sae/rows/duplicates.js';
import { type RowsSummary, summarizeRows } from '../../../src/sae/rows/summary.js';
import { npy } from '../../cli/sae.js';
import { temporaryFolder } from '../../node/data/folder.js';

const folder = temporaryFolder();
const fixtures = fileURLToPath(new URL('../../fixtures/summary/', import.meta.url));

/** What make.py computed. */
interface Expected {
  readonly rows: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  readonly zeros: number;
  readonly nonfinite: readonly (readonly [row: number, column: number, value: string])[];
  readonly copies: number;
  readonly norms: readonly number[];
  readonly mean_norm: number;
  readonly median_norm: number;
}

const byNumpy: Record<string, Expected> = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8'));

async function summaryOf(...files: string[]): Promise<RowsSummary> {
  return summarizeRows(await openFiles(files, { nonfinite: 'keep' }));
}

describe('the summary of rows', () => {
  it.each(Object.entries(byNumpy))('is what NumPy computes: %s', async (name, expected) => {
    const { rows, values, nonfinite, duplicates, norms } = await summaryOf(join(fixtures, name));
    expect(rows).toBe(expected.rows);
    const close = (value: number) => expect.closeTo(value, 8 - Math.ceil(Math.log10(Math.abs(value) + 1)));
    const { min, max, mean, std, zeros } = expected;
    const normalization = name === 'bytes.npy' ? { mean: 0.1307, std: 0.3081 } : { mean: 0, std: 1 };
    const inputs = {
      mean: close((mean - normalization.mean) / normalization.std),
      std: close(std / normalization.std),
    };
    expect(values).toEqual({
      min: close(min),
      max: close(max),
      mean: close(mean),
      std: close(std),
      zeros: close(zeros),
      inputs,
    });
    const words: Record<string, string> = { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' };
    expect(nonfinite).toEqual({
      values: expected.nonfinite.length,
      rows: new Set(expected.nonfinite.map(([row]) => row)).size,
      first: expected.nonfinite.map(([row, column, value]) => {
        return { file: join(fixtures, name), row, column, value: words[value] };
      }),
    });
    const { copies } = expected;
    expect(duplicates).toMatchObject({ rows: copies, noticed: copies, sampled: expected.rows });

    const { median, histogram, zero, ...others } = norms!;
    expect(others).toEqual({
      min: close(expected.norms[0]),
      max: close(expected.norms.at(-1)!),
      mean: close(expected.mean_norm),
    });
    expect(zero).toBe(expected.norms.filter((norm) => norm === 0).length);
    expect(Math.abs(median / expected.median_norm - 1)).toBeLessThan(2 ** -11);
    // Norms are counted to 1 in 4,096.
    let counted = histogram.below;
    for (const [i, edge] of histogram.edges.entries()) {
      if (i > 0) counted += histogram.counts[i - 1];
      const under = (limit: number) => expected.norms.filter((norm) => norm <= limit).length;
      expect(counted).toBeGreaterThanOrEqual(i === 0 ? 0 : under(edge * (1 - 2 ** -11)));
      expect(counted).toBeLessThanOrEqual(under(edge * (1 + 2 ** -11)));
    }
    expect(counted + histogram.above).toBe(expected.norms.length);
    expect(histogram.counts).toHaveLength(12);
    expect(
      [histogram.below, histogram.above].every((rows) => rows <= expected.norms.length * 0.005 + 1),
    ).toBe(true);
  });

  it('is of all files, and names places in each, whatever the format', async () => {
    const rows = Float32Array.of(1, 2, 3, 4, 5, 6);
    const table = folder.write('x.csv', '7,8\n1,2\nnan,-inf\n1e39,9\n');
    const packed = folder.write('y.npy.gz', gzipSync(npy([1, 2], Float32Array.of(3, Number.NaN))));
    const raw = folder.write('z.f64', new Uint8Array(Float64Array.of(3, 4, Number.NaN, 0).buffer));
    const files = [folder.write('a.npy', npy([3, 2], rows)), table, packed, raw];
    const found = await openFiles(files, { nonfinite: 'keep', rows_type: 'f64', in_dims: 2 });
    expect(found.files.map(({ format, element, packed }) => [format, element, packed])).toEqual([
      ['.npy', 'f32', undefined],
      ['.csv', 'text', undefined],
      ['.npy', 'f32', 'gzip'],
      ['raw', 'f64', undefined],
    ]);
    const { nonfinite, duplicates, norms } = await summarizeRows(found);
    expect(nonfinite).toEqual({
      values: 5,
      rows: 4,
      first: [
        { file: table, row: 2, column: 0, value: 'NaN' },
        { file: table, row: 2, column: 1, value: '-Infinity' },
        { file: table, row: 3, column: 0, value: 'Infinity' },
        { file: packed, row: 0, column: 1, value: 'NaN' },
        { file: raw, row: 1, column: 0, value: 'NaN' },
      ],
    });
    expect(duplicates.first).toEqual([
      { file: table, row: 1, of: { file: files[0], row: 0 } },
      { file: raw, row: 0, of: { file: files[0], row: 1 } },
    ]);
    expect([norms?.min, norms?.max]).toEqual([Math.sqrt(5), Math.sqrt(113)]);
    // Whoever does not ask for them does not get them.
    await expect(readDataset(table)).rejects.toThrow(/line 3, field 1, is "nan"; expected a finite number/);
    await expect(readDataset(packed)).rejects.toThrow(/NaN at row 0, column 1/);
  });

  it('of rows without a finite value has none of what is measured on these', async () => {
    const file = folder.write('nan.npy', npy([2, 1], new Float32Array(2).fill(Number.NaN)));
    const { values, norms, nonfinite } = await summaryOf(file);
    expect([values, norms, nonfinite.values]).toEqual([undefined, undefined, 2]);
  });

  it('ends when it is asked to', async () => {
    const file = join(folder.path, 'some.npy');
    writeFileSync(file, npy([2, 1], new Float32Array(2)));
    const reason = new Error('enough');
    const files = await openFiles([file]);
    await expect(summarizeRows(files, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('copies among more rows than are remembered', () => {
  it('are estimated by a sample, and what differs is never taken for a copy', () => {
    const duplicates = new Duplicates(2);
    const row = new Float32Array(3);
    const words = new Uint32Array(row.buffer);
    const different = 150_000;
    let rows = 0;
    const add = (i: number) => {
      // Small whole numbers, which as floats differ in few bits.
      row.set([i % 64, Math.floor(i / 64) % 64, Math.floor(i / 4096)]);
      duplicates.add(words, 0, 3, rows++);
    };
    for (let i = 0; i < different; i++) add(i);
    expect(duplicates).toMatchObject({ rows: 0, noticed: 0, first: [] });
    expect(duplicates.sampled).toBeLessThanOrEqual(2 ** 16);
    expect(duplicates.sampled).toBeGreaterThan(2 ** 15 * 0.9);
    // Each third of them once more.
    for (let i = 0; i < different; i += 3) add(i);
    expect(duplicates.sampled / rows).toBeCloseTo(0.25, 2);
    expect(duplicates.rows / duplicates.sampled).toBeCloseTo(0.25, 2);
    const [[copy, of]] = duplicates.first;
    expect(of).toBe(3 * (copy - different));
  });
});
