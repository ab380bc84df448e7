import { expect, test } from 'vitest';
import { findLabels } from '../../../src/sae/insight/labels.js';
import { NearestRows } from '../../../src/sae/insight/nearest-rows.js';
import { storedUnits } from '../../../src/sae/rows/dataset.js';
import { seededRandom } from '../../reference/random.js';
import { reals } from '../../support/device.js';
import { byteRows, floatRows } from '../../support/models.js';

test('labels are found by what they are, begin with or have in them', () => {
  const labels = ['there', 'the', 'other', 'Then', 'bathe', 'THE', ''];
  expect(findLabels(labels, 'the', 10)).toEqual([1, 5, 0, 3, 2, 4]);
  expect(findLabels(labels, ' The', 3)).toEqual([1, 5, 0]);
  expect(findLabels(labels, 'x', 3)).toEqual([]);
  expect(findLabels(labels, ' ', 3)).toEqual([]);
});

/** All cosines in float64, sorted as a whole. */
function reference(data: ArrayLike<number>, in_dims: number, values: ArrayLike<number>) {
  const row = (n: number) => Array.from({ length: in_dims }, (_, i) => data[n * in_dims + i]);
  const own = Math.hypot(...Array.from(values));
  return Array.from({ length: data.length / in_dims }, (_, n) => {
    const product = row(n).reduce((sum, value, i) => sum + value * values[i], 0);
    const length = Math.hypot(...row(n)) * own;
    return { row: n, cosine: length === 0 ? 0 : product / length };
  }).sort((a, b) => b.cosine - a.cosine || a.row - b.row);
}

test.each([
  ['floats', floatRows(reals(seededRandom(1), 300 * 7, -1, 1).fill(0, 14, 21), 7)],
  ['bytes, whose reconstructions are in other units', byteRows(300, 7, 2)],
])('the rows nearest to a reconstruction, among %s', (_, rows) => {
  const nearest = new NearestRows(rows);
  for (let n = 0; n < 5; n++) {
    const values = storedUnits(Float32Array.from(reals(seededRandom(n + 5), 7, -1, 1)), rows);
    const found = nearest.of(values, 6);
    const expected = reference(rows.data, 7, values).slice(0, 6);
    expect(found.map(({ row }) => row)).toEqual(expected.map(({ row }) => row));
    found.forEach(({ cosine }, i) => {
      expect(cosine).toBeCloseTo(expected[i].cosine, 12);
    });
  }
  expect(nearest.of(new Float32Array(7), 2)).toEqual([
    { row: 0, cosine: 0 },
    { row: 1, cosine: 0 },
  ]);
  const [{ row, cosine }] = nearest.of(Float32Array.from(rows.data.subarray(7 * 9, 7 * 10)), 1);
  expect(row).toBe(9);
  expect(cosine).toBeCloseTo(1, 12);
});

test('of more values than can be compared at once, a sample of the rows', () => {
  const in_dims = 2 ** 20;
  const nearest = new NearestRows(floatRows(new Float32Array(9 * in_dims).fill(1), in_dims));
  expect(nearest.rows).toHaveLength(8);
  expect(new Set(nearest.rows).size).toBe(8);
  expect(nearest.of(new Float32Array(in_dims).fill(1), 1)).toEqual([{ row: nearest.rows[0], cosine: 1 }]);
});
