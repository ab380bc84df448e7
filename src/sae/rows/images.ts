import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import { writeColours, writeGreys } from './formats/pixels.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';

/** A decoded image: RGBA, 8 bits each, row-major, not premultiplied, as in an `ImageData`. */
export interface NamedImage {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** Red, green and blue that differ by no more than this may come from a grey that was stored as a JPEG. */
const greyTolerance = 2;

/** Whether an image has other colours than greys. */
export function isColoured({ data }: NamedImage): boolean {
  for (let i = 0; i < data.length; i += 4) {
    const [red, green, blue] = [data[i], data[i + 1], data[i + 2]];
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > greyTolerance && data[i + 3] > 0)
      return true;
  }
  return false;
}

/**
 * Images of one size as 8-bit rows of [height * width] grey values, as `writeGreys` makes them, or of [height * width * 3] red,
 * green and blue ones, as `writeColours` does.
 * @param colours whether to read them as colours.
 * @throws DataError if there is none, they differ in size, or one has the wrong number of bytes.
 */
export function imagesDataset(
  images: readonly NamedImage[],
  name: string,
  normalize?: NormalizeOption,
  colours = false,
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
  const pixels = width * height;
  const in_dims = colours ? 3 * pixels : pixels;
  const data = new Uint8Array(images.length * in_dims);
  images.forEach((image, row) => {
    if (image.width !== width || image.height !== height) {
      throw new DataError(
        `${image.name} has ${image.width} x ${image.height} pixels (width x height), and ${first.name} has ${width} x ` +
          `${height}; expected images of one size. Scale or crop them first.`,
      );
    }
    if (image.data.length !== 4 * pixels) {
      throw new DataError(
        `${image.name} has ${image.data.length} bytes; expected ${4 * pixels}: red, green, blue and alpha of ${pixels} pixels.`,
      );
    }
    const own = data.subarray(row * in_dims, (row + 1) * in_dims);
    (colours ? writeColours : writeGreys)(image.data, own);
  });
  return {
    name,
    rows: images.length,
    in_dims,
    data,
    image_shape: colours ? [height, width, 3] : [height, width],
    normalization: resolveNormalization(normalize, data, name),
  };
}
