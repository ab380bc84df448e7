import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { TrainOptions } from '../../../src/sae/config.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import { geometricMedian, initialPreBias } from '../../../src/sae/model/pre-bias.js';
import { type Dataset, normalizedRows, sliceRows } from '../../../src/sae/rows/dataset.js';
import { RowMoments } from '../../../src/sae/rows/moments.js';
import { fitNormalization } from '../../../src/sae/rows/normalize.js';
import { type DeviceRows, type RowSource, rowSource } from '../../../src/sae/rows/source.js';
import { columnMeans } from '../../reference/column-means.js';
import { gatherRows } from '../../reference/gather.js';
import { seededRandom, uniform } from '../../reference/random.js';
import '../../support/compare.js';
import { gpuOfFile, reals } from '../../support/device.js';
import { byteRows, floatRows } from '../../support/models.js';

const gpu = await gpuOfFile();

/** What dictionary_learning's code computed. */
const published: { x: number[]; median: number[]; mean: number[] } = JSON.parse(
  readFileSync(new URL('../../fixtures/published/dl_geometric_median.json', import.meta.url), 'utf8'),
);
const points = floatRows(published.x, 12);

/** The output's bias of a new model. */
async function outputBias(
  rows: Dataset | RowSource | undefined,
  training: number | TrainOptions,
  h_dims = [5],
): Promise<Float32Array> {
  const sizes = { in_dims: rows?.in_dims ?? 12, h_dims, pre_bias: true };
  const model = await Model.create(gpu, sizes, training, rows);
  try {
    return (await model.parameters()).get(`decoder.${2 * h_dims.length - 2}.bias`)!.data;
  } finally {
    model.close();
  }
}

describe('the output’s bias of a new model with pre_bias', () => {
  test.each(['random', 'decoder_transpose'] as const)('encoder_init %s', async (encoder_init) => {
    for (const h_dims of [[5], [7, 5]]) {
      const begin = (pre_bias_init?: 'zero' | 'mean' | 'median') =>
        outputBias(points, { encoder_init, pre_bias_init }, h_dims);
      expect(await begin('median')).toBeCloseTensor(published.median, 1e-6);
      expect(await begin('mean')).toBeCloseTensor(published.mean, 1e-6);
      expect(await begin()).toEqual(await begin('mean'));
      expect(await begin('zero')).toEqual(new Float32Array(12));
    }
  });

  test('is in normalised units, of all rows, in blocks', async () => {
    const bytes = byteRows(50, 7, 3);
    const normalized = gatherRows(bytes.data, 7, [...Array(50).keys()], bytes.normalization);
    expect(await outputBias(bytes, { pre_bias_init: 'mean' })).toBeCloseTensor(
      columnMeans(normalized, 50, 7),
      1e-6,
    );
    // More than are read at a time.
    const data = reals(seededRandom(3), 9000 * 500, 0, 1).map((value, i) => value + (i % 500) / 500);
    const rows = { ...floatRows(data, 500), normalization: { mean: 0.3, std: 2 } };
    const reads: number[] = [];
    const source: RowSource = {
      ...rowSource(rows),
      read: async (first, end) => {
        reads.push(end - first);
        return rows.data.subarray(first * 500, end * 500);
      },
    };
    expect(await outputBias(source, { pre_bias_init: 'mean' })).toBeCloseTensor(
      columnMeans(data, 9000, 500).map((mean) => (mean - 0.3) / 2),
      1e-6,
    );
    expect(reads.length).toBeGreaterThan(1);
    expect(reads.reduce((sum, count) => sum + count)).toBe(9000);
  });

  test('is in the units of rows that the host normalises', async () => {
    const bytes = byteRows(50, 7, 3);
    for (const kind of ['standardize', 'row', 'zca'] as const) {
      // Fitted to others, whose mean is another.
      const rows = { ...bytes, normalization: await fitNormalization(kind, sliceRows(bytes, 0, 20)) };
      const means = columnMeans(normalizedRows(rows), 50, 7);
      expect(await outputBias(rows, { pre_bias_init: 'mean' }), kind).toBeCloseTensor(means, 1e-5);
    }
  });

  test('the median is that of 8,192 rows that the seed draws, each once', async () => {
    const rows = byteRows(30_000, 3, 4);
    const read = async (seed: number) => {
      const seen: number[] = [];
      const source: DeviceRows = {
        ...rowSource(rows),
        read: (first, end) => {
          for (let row = first; row < end; row++) seen.push(row);
          return rows.data.subarray(first * 3, end * 3);
        },
      };
      return { median: await initialPreBias(source, 'median', seed), seen };
    };
    const [one, again, other] = [await read(1), await read(1), await read(2)];
    expect(new Set(one.seen).size).toBe(8192);
    expect(one.seen).toHaveLength(8192);
    expect(one).toEqual(again);
    expect(one.seen).not.toEqual(other.seen);
    const sample = floatRows(gatherRows(rows.data, 3, one.seen, rows.normalization), 3);
    expect(one.median).toBeCloseTensor(await initialPreBias(rowSource(sample), 'median', 1), 1e-6);
    // Sums of distances are flat round the median: it is near that of all rows.
    expect(one.median).toBeCloseTensor(other.median, 0.1);
  });

  test('is drawn for a seed alone, and 0 where there are no rows', async () => {
    expect((await outputBias(undefined, 5)).every((value) => value !== 0)).toBe(true);
    expect(await outputBias(undefined, { seed: 5 })).toEqual(new Float32Array(12));
  });

  test('is refused where it cannot be computed', async () => {
    await expect(outputBias(undefined, { pre_bias_init: 'mean' })).rejects.toThrow(
      new ConfigError(
        'pre_bias_init is mean, which is computed from rows, and there are none. Pass them to Model.create, or use zero.',
      ),
    );
    const wide = Model.create(gpu, { in_dims: 13, h_dims: [5], pre_bias: true }, {}, points);
    await expect(wide).rejects.toThrow(DataError);
    const none = Model.create(gpu, { in_dims: 12, h_dims: [5] }, { pre_bias_init: 'zero' }, points);
    await expect(none).rejects.toThrow(
      new ConfigError('pre_bias_init is zero, and the model has no pre_bias. Set pre_bias, or leave it out.'),
    );
    const broken = floatRows([...published.x.slice(1), Number.NaN], 12);
    for (const pre_bias_init of ['mean', 'median'] as const) {
      await expect(outputBias(broken, { pre_bias_init })).rejects.toThrow('NaN at row 63, column 11');
    }
  });
});

describe('the geometric median', () => {
  test('is where dictionary_learning’s is', () => {
    expect(geometricMedian(Float32Array.from(published.x), 12)).toBeCloseTensor(published.median, 1e-9);
  });

  test.each([
    ['equal rows', [2, 3, 2, 3, 2, 3], [2, 3], 12],
    ['one row', [2, 3], [2, 3], 12],
    // The mean is one of the rows, and the median.
    ['a row in the middle', [0, 0, 4, 2, 4, -2, -2, 3, -2, -3, -4, 0], [0, 0], 12],
    ['more than half at one place', [5, 5, 5, 5, 5, 5, 0, 0, 9, 0], [5, 5], 4],
  ])('%s', (_, values, expected, digits) => {
    const median = geometricMedian(Float32Array.from(values), 2);
    expect([...median]).toEqual(expected.map((value) => expect.closeTo(value, digits)));
  });

  test('leaves a row that is the mean but not the median', () => {
    // The mean, (0, 0), is a row; the others pull it away from there.
    const points = Float32Array.of(0, 0, 1, 1, 1, -1, 2, 0.5, 2, -0.5, -6, 0);
    const median = geometricMedian(points, 2);
    const total = (x: number, y: number) => {
      let sum = 0;
      for (let i = 0; i < points.length; i += 2) sum += Math.hypot(points[i] - x, points[i + 1] - y);
      return sum;
    };
    const [x, y] = median;
    expect(total(x, y)).toBeLessThan(total(0, 0));
    for (const [dx, dy] of [
      [0.01, 0],
      [-0.01, 0],
      [0, 0.01],
      [0, -0.01],
    ]) {
      expect(total(x + dx, y + dy)).toBeGreaterThanOrEqual(total(x, y) - 1e-9);
    }
  });
});

test('moments of blocks are those of all rows, far from 0 too', () => {
  const columns = 7;
  const random = seededRandom(3);
  for (const offset of [0, 1e5]) {
    const all = Float32Array.from(uniform(random, 100 * columns, -1, 1), (value) => value + offset);
    const moments = new RowMoments(columns);
    for (const [first, end] of [
      [0, 1],
      [1, 40],
      [40, 41],
      [41, 100],
    ]) {
      moments.add(all.subarray(first * columns, end * columns));
    }
    const means = columnMeans(all, 100, columns);
    const squares = all.reduce((sum, value, i) => sum + (value - means[i % columns]) ** 2, 0);
    expect(moments.rows).toBe(100);
    expect(moments.mean).toBeCloseTensor(means, 1e-13);
    expect(moments.squares / squares - 1).toBeCloseTo(0, 9);
  }
});
