import sharp from 'sharp';
import { expect, test } from 'vitest';
import { DataError } from '../../../src/sae/errors.js';
import type { ScalarNormalization } from '../../../src/sae/rows/dataset.js';
import { imagesDataset, isColoured, type NamedImage } from '../../../src/sae/rows/images.js';
import { failure } from '../../node/data/folder.js';

/** An image of pixels [red, green, blue, alpha], [height, width]. */
function image(name: string, width: number, pixels: readonly number[][]): NamedImage {
  return { name, width, height: pixels.length / width, data: Uint8ClampedArray.from(pixels.flat()) };
}

test('pixels become luma, on white where they are transparent', () => {
  const first = image('a.png', 3, [
    [0, 0, 0, 255],
    [255, 255, 255, 255],
    [255, 0, 0, 255],
    [0, 255, 0, 255],
    [0, 0, 255, 255],
    [10, 20, 30, 255],
  ]);
  const second = image('b.png', 3, [
    [0, 0, 0, 0],
    [0, 0, 0, 128],
    [255, 255, 255, 0],
    [0, 0, 255, 51],
    [7, 7, 7, 255],
    [200, 200, 200, 255],
  ]);
  const dataset = imagesDataset([first, second], '2 images');
  expect(dataset).toMatchObject({ name: '2 images', rows: 2, in_dims: 6, image_shape: [2, 3] });
  expect(dataset.normalization).toEqual({ mean: 0.1307, std: 0.3081 });
  // ITU-R BT.601: 0.299, 0.587, 0.114 of 255 are 76.245, 149.685, 29.07.
  expect([...dataset.data]).toEqual([0, 255, 76, 150, 29, 18, 255, 127, 255, 210, 7, 200]);
  const unit = imagesDataset([first, second], '2 images', 'unit').normalization as ScalarNormalization;
  expect(unit.mean).toBeCloseTo([...dataset.data].reduce((sum, value) => sum + value) / 12 / 255, 12);
});

test('or colours: red, green and blue beside each other', () => {
  const some = image('a.png', 2, [
    [10, 20, 30, 255],
    [1, 2, 3, 0],
    [200, 0, 100, 51],
    [7, 7, 7, 255],
  ]);
  const { data, in_dims, image_shape } = imagesDataset([some, some], 'two', undefined, true);
  expect([in_dims, image_shape]).toEqual([12, [2, 2, 3]]);
  // A fifth of the pixel, and four fifths of white.
  const row = [10, 20, 30, 255, 255, 255, 244, 204, 224, 7, 7, 7];
  expect([...data]).toEqual([...row, ...row]);
});

test.each([
  [
    'black and white',
    [
      [0, 0, 0, 255],
      [255, 255, 255, 255],
    ],
    false,
  ],
  ['greys, rounded', [[100, 101, 99, 255]], false],
  [
    'a colour',
    [
      [0, 0, 0, 255],
      [100, 104, 100, 255],
    ],
    true,
  ],
  ['a colour that is not seen', [[255, 0, 0, 0]], false],
])('%s: whether it is coloured', (_, pixels, coloured) => {
  expect(isColoured(image('a.png', 1, pixels))).toBe(coloured);
});

test('every grey stays what it is, through a PNG as well', async () => {
  const greys = Uint8Array.from({ length: 256 }, (_, i) => i);
  const png = await sharp(greys, { raw: { width: 16, height: 16, channels: 1 } })
    .png()
    .toBuffer();
  const { data, info } = await sharp(png).ensureAlpha().toColourspace('srgb').raw().toBuffer({
    resolveWithObject: true,
  });
  expect(info.channels).toBe(4);
  const { data: rows } = imagesDataset([{ name: 'greys.png', width: 16, height: 16, data }], 'greys');
  expect(rows).toEqual(greys);
});

test('images of several sizes, and none, are refused', async () => {
  const pixel = [1, 2, 3, 255];
  const images = [image('a.png', 2, [pixel, pixel]), image('b.png', 1, [pixel, pixel])];
  expect(await failure(DataError, () => imagesDataset(images, 'mine'))).toBe(
    'b.png has 1 x 2 pixels (width x height), and a.png has 2 x 1; expected images of one size. Scale or crop them first.',
  );
  expect(await failure(DataError, () => imagesDataset([], 'mine'))).toMatch('mine holds no images');
});
