import type { Dataset } from '../dataset.js';
import { DataError } from '../errors.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';

/** A picture that the host has decoded: RGBA, 8 bits each, row-major, not premultiplied, as in an `ImageData`. */
export interface NamedImage {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/**
 * Pictures of one size as 8-bit rows, [height * width] grey values each: luma (Rec. 601), on white where they are
 * transparent.
 * @throws DataError where there is none, or they differ in size.
 */
export function imagesDataset(
  images: readonly NamedImage[],
  name: string,
  normalize?: NormalizeOption,
): Dataset {
  const [first] = images;
  if (!first) {
    throw new DataError(`${name} holds no images; expected at least one.`);
  }
  const { width, height } = first;
  const in_dims = width * height;
  const data = new Uint8Array(images.length * in_dims);
  images.forEach((image, row) => {
    if (image.width !== width || image.height !== height) {
      throw new DataError(
        `${image.name} has ${image.width} x ${image.height} pixels (width x height), and ${first.name} has ${width} x ` +
          `${height}; expected images of one size. Scale or crop them first.`,
      );
    }
    for (let i = 0; i < in_dims; i++) {
      const [red, green, blue, alpha] = image.data.subarray(4 * i, 4 * i + 4);
      const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
      data[row * in_dims + i] = Math.round(255 + (luma - 255) * (alpha / 255));
    }
  });
  return {
    name,
    rows: images.length,
    in_dims,
    data,
    image_shape: [height, width],
    normalization: resolveNormalization(normalize, data, name),
  };
}
