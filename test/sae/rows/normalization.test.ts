import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ConfigError, DataError, NonFiniteError } from '../../../src/sae/errors.js';
import { type Dataset, normalizedRows, storedUnits } from '../../../src/sae/rows/dataset.js';
import { hostKinds } from '../../../src/sae/rows/normalization/index.js';
import type { FittedRows } from '../../../src/sae/rows/normalization/kind.js';
import type { Zca } from '../../../src/sae/rows/normalization/zca.js';
import { type FittedKind, fitNormalization, unitNormalization } from '../../../src/sae/rows/normalize.js';
import type { RowSource } from '../../../src/sae/rows/rows.js';
import { rowSource } from '../../../src/sae/rows/source.js';
import { failure } from '../../node/data/folder.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { reals, sameBits } from '../../support/device.js';
import { floatRows } from '../../support/models.js';

type Expected = Record<string, number[] | number[][] | number>;
const file = new URL('../../fixtures/normalization/expected.json', import.meta.url);
/** What numpy and scipy made of rows. */
const fixtures: Record<
  'f32' | 'u8',
  Record<'standardize' | 'row' | 'zca', Expected> & { rows: number[][]; rms: number }
> = JSON.parse(readFileSync(file, 'utf8'));

function stored(type: 'f32' | 'u8'): Dataset {
  const values = fixtures[type].rows.flat();
  const data = type === 'u8' ? Uint8Array.from(values) : Float32Array.from(values);
  return { ...floatRows(values, 6), data };
}

async function fitted(kind: FittedKind, rows: Dataset): Promise<Dataset> {
  return { ...rows, normalization: await fitNormalization(kind, rows) };
}

/** Rows that are read a few at a time, like those that do not fit into memory. */
function streamed({ data, ...rows }: Dataset): RowSource {
  const { in_dims } = rows;
  return {
    ...rows,
    type: data instanceof Uint8Array ? 'u8' : 'f32',
    read: async (first, end) => data.slice(first * in_dims, end * in_dims),
  };
}

describe.each(['f32', 'u8'] as const)('of %s, as numpy and scipy have it', (type) => {
  const rows = stored(type);
  const expected = fixtures[type];

  it.each(['standardize', 'row', 'zca'] as const)('%s, undone as well', async (kind) => {
    const dataset = await fitted(kind, rows);
    const { normalized, ...fields } = expected[kind];
    for (const [name, value] of Object.entries(fields)) {
      const found = (dataset.normalization as unknown as Record<string, Float32Array | number>)[name];
      expect(
        [found].flatMap((of) => (typeof of === 'number' ? of : [...of])),
        name,
      ).toBeCloseTensor([value].flat(2) as number[], 1e-7);
    }
    const values = normalizedRows(dataset);
    expect(values).toBeCloseTensor((normalized as number[][]).flat(), 1e-6);
    expect(storedUnits(values, dataset)).toBeCloseTensor(expected.rows.flat(), 1e-6);
    // The device gets the same bits, and the numbers of no normalisation.
    const source = rowSource(dataset);
    expect(source).toMatchObject({ type: 'f32', rows: 40, in_dims: 6, normalization: { mean: 0, std: 1 } });
    expect(source.stored?.normalization).toBe(dataset.normalization);
    expect(sameBits((await source.read(3, 9)) as Float32Array, values.subarray(18, 54))).toBe(true);
  });

  it('rms is two numbers, and the mean of |x|² is the width', async () => {
    const dataset = await fitted('rms', rows);
    expect(dataset.normalization).toEqual({ mean: 0, std: expect.closeTo(expected.rms, 12) });
    const squares = normalizedRows(dataset).reduce((sum, value) => sum + value ** 2, 0);
    expect(squares / rows.rows).toBeCloseTo(6, 5);
    expect(rowSource(dataset).type).toBe(type);
  });

  it('of rows that are streamed it is the same', async () => {
    for (const kind of ['rms', 'standardize', 'row', 'zca'] as const) {
      expect(await fitNormalization(kind, streamed(rows)), kind).toEqual(
        (await fitted(kind, rows)).normalization,
      );
    }
    const { mean, std } = unitNormalization(rows.data, 'x');
    expect(await fitNormalization('unit', rows)).toEqual({ mean, std });
    expect(await fitNormalization('unit', streamed(rows))).toEqual({
      mean: expect.closeTo(mean, 12),
      std: expect.closeTo(std, 12),
    });
  });
});

it('the device gets many rows in pieces, as they are all at once', async () => {
  const in_dims = 300;
  const dataset = await fitted('zca', floatRows(reals(seededRandom(2), 900 * in_dims, -1, 1), in_dims));
  const values = await rowSource(streamed(dataset)).read(0, 900);
  expect(sameBits(values as Float32Array, normalizedRows(dataset))).toBe(true);
});

it('standardize does not depend on how rows are divided', async () => {
  const in_dims = 5;
  const values = reals(seededRandom(3), 100 * in_dims, 900, 1000);
  const of = (rows: number) =>
    hostKinds.standardize.fit({
      name: 'x',
      rows: 100,
      in_dims,
      unit: 1,
      async *all() {
        for (let i = 0; i < 100; i += rows) yield values.subarray(i * in_dims, (i + rows) * in_dims);
      },
      note: () => expect.fail('nothing is constant'),
    } as Partial<FittedRows> as FittedRows);
  expect(await of(7)).toEqual(await of(100));
});

describe('zca', () => {
  it('whitens, but for epsilon, and is undone', async () => {
    const in_dims = 100;
    const random = seededRandom(4);
    const data = new Float32Array(700 * in_dims);
    // Each value is near the one before, as in images.
    for (let i = 0; i < data.length; i++) {
      data[i] = (i % in_dims ? 0.9 * data[i - 1] : 0) + reals(random, 1, -1, 1)[0];
    }
    const dataset = await fitted('zca', floatRows(data, in_dims));
    const { matrix, inverse, epsilon, rows } = dataset.normalization as Zca;
    expect(rows).toBe(700);
    const product = new Float64Array(in_dims ** 2);
    const covariance = new Float64Array(in_dims ** 2);
    const values = normalizedRows(dataset);
    for (let i = 0; i < in_dims; i++) {
      for (let j = 0; j < in_dims; j++) {
        for (let k = 0; k < in_dims; k++) {
          product[i * in_dims + j] += matrix[i * in_dims + k] * inverse[k * in_dims + j];
        }
        for (let row = 0; row < 700; row++) {
          covariance[i * in_dims + j] += (values[row * in_dims + i] * values[row * in_dims + j]) / 700;
        }
      }
    }
    const one = product.map((_, i) => (i % (in_dims + 1) === 0 ? 1 : 0));
    expect(product).toBeCloseTensor(one, 1e-5);
    // M C M = I - epsilon M²
    const whitened = one.map((value, at) => {
      const [i, j] = [Math.floor(at / in_dims), at % in_dims];
      let square = 0;
      for (let k = 0; k < in_dims; k++) square += matrix[i * in_dims + k] * matrix[k * in_dims + j];
      return value - epsilon * square;
    });
    expect(covariance).toBeCloseTensor(whitened, 1e-5);
    expect(storedUnits(values, dataset)).toBeCloseTensor(data, 1e-5);
  });

  it('of many rows takes some that are spread evenly, at all places of what repeats', async () => {
    const rows = 4 * 16_384;
    // The first of every four is another.
    const data = Float32Array.from({ length: rows }, (_, i) => (i % 4 === 0 ? 2 : 0));
    const notes: string[] = [];
    const fit = await fitNormalization('zca', floatRows(data, 1), (note) => notes.push(note));
    const { mean, rows: taken } = fit as Zca;
    expect(taken).toBe(16_384);
    expect(mean[0]).toBeCloseTo(0.5, 3);
    expect(notes).toEqual([
      'normalize zca is computed from 16,384 of the 65,536 rows of test rows, spread evenly over them.',
    ]);
  });

  it('refuses rows that are too wide, or the same', async () => {
    const wide = floatRows(new Float32Array(1025), 1025);
    expect(await failure(ConfigError, () => fitted('zca', wide))).toBe(
      'normalize zca takes rows of at most 1,024 values, and those of test rows have 1,025. Use standardize, or smaller images or patches.',
    );
    expect(await failure(DataError, () => fitted('zca', floatRows([1, 2, 1, 2], 2)))).toBe(
      'All rows of test rows are the same, or nearly so, and cannot be whitened. Use normalize none, or data that vary.',
    );
  });
});

describe('what does not vary', () => {
  it('is not scaled by standardize, which is said', async () => {
    const notes: string[] = [];
    const rows = floatRows([0.1, 1, 5, 0.1, 2, 5, 0.1, 4, 5], 3);
    const normalization = await fitNormalization('standardize', rows, (note) => notes.push(note));
    expect([...normalizedRows({ ...rows, normalization })].filter((_, i) => i % 3 !== 1)).toEqual(
      new Array(6).fill(0),
    );
    expect(normalization).toMatchObject({ std: Float32Array.of(1, Math.sqrt(14 / 9), 1) });
    expect(notes).toEqual([
      'Of the 3 values of a row of test rows, 2 are the same in all rows, or nearly so: normalize standardize subtracts their ' +
        'means and does not scale them.',
    ]);
  });

  it('is refused by rms if it is zeros, and by unit', async () => {
    expect(await failure(DataError, () => fitted('rms', floatRows([0, 0, 0, 1e-45], 2)))).toBe(
      'All values of test rows are 0, or nearly so, and cannot be scaled to a mean square of 1. Use normalize none, or other data.',
    );
    const flat = streamed(floatRows([7, 7], 1));
    expect(await failure(DataError, () => fitNormalization('unit', flat))).toMatch(
      /^All values of test rows are 7, or nearly so/,
    );
  });

  it('a row of zeros stays one, and is one again', async () => {
    const dataset = await fitted('row', floatRows([0, 0, 3, 4], 2));
    expect(normalizedRows(dataset)).toEqual(Float32Array.of(0, 0, 0.6, 0.8));
    expect(storedUnits(Float32Array.of(0.5, 1, 0.6, 0.8), dataset)).toEqual(Float32Array.of(0, 0, 3, 4));
  });
});

describe('values that cannot be', () => {
  it('are named by their place', async () => {
    const wrong = floatRows([1, 2, 3, Number.NaN], 2);
    for (const kind of ['unit', 'rms', 'standardize', 'zca'] as const) {
      expect(await failure(DataError, () => fitted(kind, wrong))).toMatch(
        /^test rows has NaN at row 1, column 1 /,
      );
    }
    const dataset = { ...wrong, normalization: { kind: 'row' } as const };
    expect(await failure(DataError, () => normalizedRows(dataset))).toMatch(/ has NaN at row 1, column 1 /);
    expect(await failure(DataError, () => rowSource(dataset).read(0, 2))).toMatch(
      / has NaN at row 1, column 1 /,
    );
  });

  it('nor when they are normalised, or undone', async () => {
    const normalization = {
      kind: 'standardize',
      mean: Float32Array.of(0, 0),
      std: Float32Array.of(1, 1e-30),
    } as const;
    const dataset = { ...floatRows([1, 0, 1, 1e20], 2), normalization };
    const sentence =
      'test rows has 100000002004087730000, which normalize standardize takes beyond the range of f32, at row 5, column 1 ' +
      '(both from 0). Scale the rows down.';
    expect(await failure(DataError, () => normalizedRows(dataset, 4))).toBe(sentence);
    const two = { ...streamed(dataset), rows: 6, read: async () => dataset.data };
    expect(await failure(DataError, () => rowSource(two).read(4, 6))).toBe(sentence);
    const large = { ...floatRows([3e38, 3e38], 2), normalization: { kind: 'row' } as const };
    expect(await failure(NonFiniteError, () => storedUnits(Float32Array.of(1, 1), large))).toMatch(
      /^A reconstruction of test rows is too large for f32/,
    );
  });

  it('and normalisations of other rows, or of none', async () => {
    const rows = floatRows([1, 2, 3, 4], 2);
    const three = (await fitted('standardize', floatRows([1, 2, 3, 4, 5, 7], 3))).normalization;
    const flat = { ...three, mean: new Float32Array(2), std: new Float32Array(2) };
    for (const normalization of [three, flat, { kind: 'pca' }]) {
      const wrong = { ...rows, normalization } as Dataset;
      expect(await failure(DataError, () => rowSource(wrong))).toMatch(
        /^The normalization of test rows is \{"kind":.*\}; expected one that was fitted to rows of 2 values\.$/,
      );
    }
    expect(await failure(ConfigError, () => fitNormalization('loud' as 'unit', rows))).toBe(
      'normalize is "loud"; expected a normalization, or one of unit, rms, standardize, row, zca. parseNormalize reads others.',
    );
  });
});
