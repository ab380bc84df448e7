import { ConfigError, DataError } from '../../errors.js';
import { type ArrayHeader, counted, product } from './array.js';

/** What decides how an array is rows. */
export interface ShapeOptions {
  /** Expected values per row; any number by default. */
  readonly in_dims?: number | undefined;
  /** [height, width] of the images that rows are. */
  readonly image_shape?: readonly [number, number] | undefined;
}

/** How an array is rows. */
export interface RowShape {
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  /** [height, width] if rows are images. */
  readonly image_shape?: readonly [number, number];
  /** What was decided, where the shape has more than two dimensions. */
  readonly note?: string;
}

/**
 * Reads a shape as rows. Of three dimensions, those of 8-bit values are images, (rows, height, width), and all others
 * are rows of the last dimension, as activations are: (batch, sequence, values). Where `image_shape` or,
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
  const wanted = image_shape ? image_shape[0] * image_shape[1] : bytes ? undefined : expected;
  const valuesOf = (dimensions: number) => product(shape.slice(-dimensions));
  const usual = bytes ? (shape.length === 3 ? 2 : shape.length === 2 ? 1 : 0) : 1;
  const possible = [usual, ...shape.keys()].filter((dimensions) => dimensions > 0);
  const dimensions = possible.find((some) => valuesOf(some) === wanted) ?? usual;
  if (shape.length < 2 || dimensions === 0) {
    throw new DataError(
      `${file} has ${shape.length} ${shape.length === 1 ? 'dimension' : 'dimensions'}, shape ${written}; ` +
        'expected (rows, values), (rows, height, width) of 8-bit images, or more dimensions of other values, whose last are rows.',
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
  const [height, width] = shape.slice(-2);
  const sides =
    image_shape ?? (shape.length > 2 && dimensions === 2 ? ([height, width] as const) : undefined);
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
export function checkImageShape(
  [height, width]: readonly [number, number],
  in_dims: number,
  name: string,
): void {
  if (height * width !== in_dims) {
    throw new ConfigError(
      `image_shape ${height},${width} is that of ${height * width} values, and the rows of ${name} have ` +
        `${in_dims}. Name a height and a width whose product is ${in_dims}, or leave the option out.`,
    );
  }
}
