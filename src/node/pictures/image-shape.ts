import type { Dataset } from '../../sae/dataset.js';

/**
 * How a row is shown as a picture, [height, width]: the shape that came with the data, else a square where in_dims is
 * one. Undefined when the rows are no pictures.
 */
export function imageShape({
  in_dims,
  image_shape,
}: Pick<Dataset, 'in_dims' | 'image_shape'>): readonly [number, number] | undefined {
  if (image_shape) return image_shape;
  const side = Math.round(Math.sqrt(in_dims));
  return side * side === in_dims ? [side, side] : undefined;
}
