import { ConfigError, DataError } from '../../errors.js';
import type { ImageShape } from '../rows.js';
import { type ArrayHeader, counted, product } from './array.js';

/** What decides how an array is rows. */
export interface ShapeOptions {
  /** Expected values per row; any number by default. */
  readonly in_dims?: number | undefined;
  /** That of the images that rows are. */
  readonly image_shape?: ImageShape | undefined;
}

/** How an array is rows. */
export interface RowShape {
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  /** Set if rows are images. */
  readonly image_shape?: ImageShape;
  /** What was decided, where the shape has more than two dimensions. */
  readonly note?: string;
}

/**
 * Reads a shape as rows. 8-bit values of three dimensions are images, (rows, height, width), and so are those of four, (rows, height,
 * width, 3), with red, green and blue; all others are rows of the last dimension, as activations are: (batch, sequence, values). Where `image_shape` or,
 * of values that are not 8-bit, `in_dims` says how many values a row has, rows are as many of the last dimensions as
 * hold that.
 * @throws DataError for another shape, or an empty one; ConfigError for an image_shape of another number of values.
 */
export function rowShape(
  { shape, element }: ArrayHeader,
  file: string,
  { in_dims: expected, image_shape }: ShapeOptions = {},
): RowShape {
  const written = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  const bytes = element === 'u8';
  const wanted = image_shape ? product(image_shape) : bytes ? undefined : expected;
  const valuesOf = (dimensions: number) => product(shape.slice(-dimensions));
  const colours = shape.length === 4 && shape[3] === 3;
  const usual = bytes ? (colours ? 3 : shape.length > 3 ? 0 : shape.length - 1) : 1;
  const possible = [usual, ...shape.keys()].filter((dimensions) => dimensions > 0);
  const dimensions = possible.find((some) => valuesOf(some) === wanted) ?? usual;
  if (shape.length < 2 || dimensions === 0) {
    throw new DataError(
      `${file} has ${shape.length} ${shape.length === 1 ? 'dimension' : 'dimensions'}, shape ${written}; ` +
        'expected (rows, values), (rows, height, width) or (rows, height, width, 3) of 8-bit images, or more dimensions of other values, ' +
        'whose last are rows.',
    );
  }
  if (shape.includes(0)) {
    throw new DataError(
      `${file} has no values: its shape is ${written}; expected at least one row and one value per row.`,
    );
  }
  const in_dims = valuesOf(dimensions);
  const rows = product(shape.slice(0, -dimensions));
  if (image_shape) checkImageShape(image_shape, in_dims, file);
  const own = shape.slice(-dimensions);
  if (image_shape?.length === 3 && own.join() === [3, ...image_shape.slice(0, 2)].join()) {
    throw new DataError(
      `${file} has the shape ${written}, in which red, green and blue lie apart; expected them last, (rows, ${image_shape.join(', ')}), as ` +
        'numpy.moveaxis(rows, -3, -1) makes it.',
    );
  }
  const sides = image_shape ?? (dimensions > 1 && isImageShape(own) ? own : undefined);
  const last = dimensions === 1 ? 'dimension' : `${dimensions} dimensions`;
  const are = sides
    ? `${counted(rows, 'image')} of ${sides.join(' x ')}`
    : `${counted(rows, 'row')} of ${counted(in_dims, 'value')}, its last ${last}`;
  return {
    rows,
    in_dims,
    ...(sides && { image_shape: sides }),
    ...(shape.length > 2 && { note: `${file} has the shape ${written} and is read as ${are}.` }),
  };
}

/** @throws ConfigError if images of that shape have another number of values than the rows. */
export function checkImageShape(image_shape: ImageShape, in_dims: number, name: string): void {
  const values = product(image_shape);
  if (values !== in_dims) {
    const colours = in_dims % 3 === 0 ? ', or a third of that and 3,' : '';
    throw new ConfigError(
      `image_shape ${image_shape.join()} is that of ${values} values, and the rows of ${name} have ` +
        `${in_dims}. Name a height and a width whose product is ${in_dims}${colours} or leave the option out.`,
    );
  }
}

/** Whether it is [height, width], or [height, width, 3]. */
export function isImageShape(shape: unknown): shape is ImageShape {
  if (!Array.isArray(shape) || !shape.every((side) => Number.isSafeInteger(side) && side > 0)) return false;
  return shape.length === 2 || (shape.length === 3 && shape[2] === 3);
}
