import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeFeatures } from '../../../src/node/pictures/features.js';
import { DataError } from '../../../src/sae/errors.js';
import { decode, temporaryFolder } from './helpers.js';

const folder = temporaryFolder();

test('three rows of 2 x 2 weights, by hand', async () => {
  const file = join(folder, 'three.png');
  // Scaled by the largest magnitude: [1, -0.5, 0.25, 0], nothing, [-1, 1, 0, 0].
  const weight = Float32Array.from([4, -2, 1, 0, 0, 0, 0, 0, -1e-3, 1e-3, 0, 0]);
  await writeFeatures(file, { weight, count: 3, image_shape: [2, 2] });
  const { width, height, space, pixel } = await decode(file);
  expect(space).toBe('b-w');
  expect(width).toBe(height);
  const step = (width - 1) / 2;
  const factor = (step - 1) / 2;
  expect(Number.isInteger(factor)).toBe(true);
  const greys = [
    [255, 65, 160, 128],
    [128, 128, 128, 128],
    [1, 255, 128, 128],
  ];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const column = Math.floor(x / step);
      const row = Math.floor(y / step);
      // The fourth cell has no row: white, but for the borders of its neighbours.
      const border =
        (x % step === 0 && (y <= step || x <= step)) || (y % step === 0 && (x <= step || y <= step));
      let expected = 255;
      if (border) expected = 0;
      else if (row * 2 + column < 3) {
        const i = Math.floor(((y % step) - 1) / factor) * 2 + Math.floor(((x % step) - 1) / factor);
        expected = greys[row * 2 + column][i];
      }
      if (Math.abs(pixel(x, y)[0] - expected) > 1) expect.fail(`${x}, ${y}: ${pixel(x, y)}, not ${expected}`);
    }
  }
});

test('red, green and blue weights are drawn as such', async () => {
  const file = join(folder, 'colours.png');
  const weight = Float32Array.from([4, -2, 1, 0, 0, -4]);
  await writeFeatures(file, { weight, count: 1, image_shape: [1, 2, 3] });
  const { width, height, space, pixel } = await decode(file);
  expect([space, width - 2]).toEqual(['srgb', 2 * (height - 2)]);
  const middle = Math.floor(height / 2);
  expect(pixel(0, middle)).toEqual([0, 0, 0]);
  // 128 and 127 times the share of the largest magnitude, rounded.
  expect(pixel(middle, middle)).toEqual([255, 65, 160]);
  expect(pixel(width - middle, middle)).toEqual([128, 128, 1]);
});

test.each([
  [1, 1, 1],
  [20, 5, 4],
  [256, 16, 16],
  [1024, 32, 32],
  [4096, 64, 64],
])('%i rows of 28 x 28 lie in a grid of %i by %i', async (count, columns, rows) => {
  const file = join(folder, `${count}.png`);
  const weight = Float32Array.from({ length: count * 784 }, (_, i) => Math.sin(i / 3));
  await writeFeatures(file, { weight, count, image_shape: [28, 28] });
  const { width, height, pixel } = await decode(file);
  const step = (width - 1) / columns;
  expect((step - 1) % 28).toBe(0);
  expect(height).toBe(rows * step + 1);
  expect(Math.max(width, height)).toBeLessThanOrEqual(count > 1024 ? 2000 : 1000);
  for (let x = 0; x < width; x++) {
    expect(pixel(x, Math.floor(step / 2))[0] === 0).toBe(x % step === 0);
  }
});

test('tiles that are not square still make a picture that is about square', async () => {
  const file = join(folder, 'wide.png');
  await writeFeatures(file, { weight: new Float32Array(64 * 400), count: 64, image_shape: [10, 40] });
  const { width, height } = await decode(file);
  expect(width / height).toBeGreaterThan(0.6);
  expect(width / height).toBeLessThan(1.7);
});

test('a length that does not fit is refused', async () => {
  const weight = new Float32Array(10);
  const file = join(folder, 'x.png');
  await expect(writeFeatures(file, { weight, count: 3, image_shape: [2, 2] })).rejects.toThrow(DataError);
});
