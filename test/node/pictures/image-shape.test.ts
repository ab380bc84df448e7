import { expect, test } from 'vitest';
import { imageShape } from '../../../src/node/pictures/image-shape.js';

test('the shape of the file, else a square, else none', () => {
  expect(imageShape({ in_dims: 784, image_shape: [14, 56] })).toEqual([14, 56]);
  expect(imageShape({ in_dims: 784 })).toEqual([28, 28]);
  expect(imageShape({ in_dims: 1 })).toEqual([1, 1]);
  expect(imageShape({ in_dims: 783 })).toBeUndefined();
  expect(imageShape({ in_dims: 785 })).toBeUndefined();
});
