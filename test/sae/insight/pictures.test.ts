import { expect, test } from 'vitest';
import {
  greys,
  imageShape,
  inputRange,
  meanSquaredError,
  rowOfGreys,
  shownReconstructions,
  shownRows,
  weightGreys,
} from '../../../src/sae/insight/pictures.js';
import { normalizedRows } from '../../../src/sae/rows/dataset.js';
import { fitNormalization } from '../../../src/sae/rows/normalize.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { reals } from '../../support/device.js';
import { byteRows, floatRows } from '../../support/models.js';

test('the shape of the file, else for bytes a square, else none', () => {
  expect(imageShape({ ...floatRows(new Float32Array(784), 784), image_shape: [14, 56] })).toEqual([14, 56]);
  expect(imageShape({ ...byteRows(1, 784, 1), image_shape: [14, 56] })).toEqual([14, 56]);
  expect(imageShape(byteRows(2, 784, 1))).toEqual([28, 28]);
  expect(imageShape(byteRows(2, 1, 1))).toEqual([1, 1]);
  expect(imageShape(byteRows(2, 783, 1))).toBeUndefined();
  expect(imageShape(byteRows(2, 785, 1))).toBeUndefined();
  // Vectors of 100 values are no squares.
  expect(imageShape(floatRows(new Float32Array(200), 100))).toBeUndefined();
  expect(imageShape({ in_dims: 784 })).toBeUndefined();
});

test('greys run from black to white, and what is outside is clamped', () => {
  expect([...greys(Float32Array.of(-1, -0.5, 0, 1, 3, 4), [-1, 3])]).toEqual([0, 32, 64, 128, 255, 255]);
  expect([...greys(Float32Array.of(2, 2.5, 7), [2, 2])]).toEqual([0, 128, 255]);
});

test('the range of inputs is what they can be for bytes, and what they are for floats', () => {
  const [black, white] = inputRange(byteRows(2, 3, 1));
  expect([black, white]).toEqual([-0.1307 / 0.3081, (1 - 0.1307) / 0.3081]);
  const floats = { ...floatRows([-2, 0.5, 6, 1], 2), normalization: { mean: 2, std: 4 } };
  expect(inputRange(floats)).toEqual([-1, 1]);
});

test('greys become a row that is shown as they are, of bytes or of floats', () => {
  const drawn = Uint8Array.of(0, 1, 77, 128, 255, 3);
  const floats = { ...floatRows([-2, 0.5, 6, 1, 3, 0], 6), normalization: { mean: 2, std: 4 } };
  const labels = ['a', 'b', 'c', 'd'];
  for (const dataset of [{ ...byteRows(4, 6, 1), labels }, floats]) {
    const range = inputRange(dataset);
    const row = rowOfGreys(dataset, drawn, range);
    expect([row.rows, row.in_dims, row.data.constructor]).toEqual([1, 6, dataset.data.constructor]);
    expect(row).not.toHaveProperty('labels');
    expect([...greys(normalizedRows(row), range)]).toEqual([...drawn]);
  }
});

test('weights are scaled by their largest magnitude round a middle grey', () => {
  expect([...weightGreys(Float32Array.of(0, 0.5, -2, 2, -1))]).toEqual([128, 160, 1, 255, 65]);
  expect([...weightGreys(new Float32Array(3))]).toEqual([128, 128, 128]);
});

test('mean squared error', () => {
  expect(meanSquaredError(Float32Array.of(1, 2, 3), Float32Array.of(1, 4, 0))).toBeCloseTo(13 / 3, 12);
});

test('rows that the host normalises are shown as they are stored, and so are their reconstructions', async () => {
  const drawn = Uint8Array.of(0, 1, 77, 128, 255, 3);
  for (const kind of ['standardize', 'row', 'zca'] as const) {
    for (const rows of [byteRows(40, 6, 1), floatRows(reals(seededRandom(1), 240, -2, 5), 6)]) {
      const dataset = { ...rows, normalization: await fitNormalization(kind, rows) };
      const { data } = dataset;
      const range = inputRange(dataset);
      expect(range).toEqual(data instanceof Uint8Array ? [0, 255] : [Math.min(...data), Math.max(...data)]);
      expect(shownRows(dataset)).toEqual(Float32Array.from(data));
      expect(shownReconstructions(normalizedRows(dataset), dataset)).toBeCloseTensor(data, 1e-5);
      const row = rowOfGreys(dataset, drawn, range);
      expect([...greys(shownRows(row), range)]).toEqual([...drawn]);
    }
  }
});
