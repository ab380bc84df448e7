import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import { writeGreys } from './formats/pixels.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';

/** A decoded image: RGBA, 8 bits each, row-major, not premultiplied, as in an `ImageData`. */
export interface NamedImage {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/**
 * Images of one size as 8-bit rows of [height * width] grey values, as `writeGreys` makes them.
 * @throws DataError if there is none, they differ in size, or one has the wrong number of bytes.
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
  if (![width, height].every((side) => Number.isInteger(side) && side > 0)) {
    throw new DataError(
      `${first.name} has ${width} x ${height} pixels (width x height); expected at least one.`,
    );
  }
  const in_dims = width * height;
  const data = new Uint8Array(images.length * in_dims);
  images.forEach((image, row) => {
    if (image.width !== width || image.height !== height) {
      throw new DataError(
        `${image.name} has ${image.width} x ${image.height} pixels (width x height), and ${first.name} has ${width} x ` +
          `${height}; expected images of one size. Scale or crop them first.`,
      );
    }
    if (image.data.length !== 4 * in_dims) {
      throw new DataError(
        `${image.name} has ${image.data.length} bytes; expected ${4 * in_dims}: red, green, blue and alpha of ${in_dims} pixels.`,
      );
    }
    writeGreys(image.data, data.subarray(row * in_dims, (row + 1) * in_dims));
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
