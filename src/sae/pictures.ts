import type { Dataset } from './dataset.js';

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

/** Values that are shown as black and as white. */
export type GreyRange = readonly [black: number, white: number];

/** From the least to the greatest of some values. */
export function rangeOf(values: Float32Array | Uint8Array): GreyRange {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** In normalised units, what a data set's rows can have: all of 0 to 255 for 8-bit values, else what they do have. */
export function inputRange({ data, normalization: { mean, std } }: Dataset): GreyRange {
  const [low, high] = data instanceof Uint8Array ? [0, 1] : rangeOf(data);
  return [(low - mean) / std, (high - mean) / std];
}

/** Values as greys from 0, black, to 255, white; those outside the range are clamped to it. */
export function greys(values: Float32Array, [black, white]: GreyRange): Uint8Array<ArrayBuffer> {
  const range = white > black ? white - black : 1;
  return Uint8Array.from(values, (value) =>
    Math.round(255 * Math.min(1, Math.max(0, (value - black) / range))),
  );
}

/**
 * Weights as greys, scaled by their own largest magnitude: middle grey, 128, is zero, 255 that magnitude when positive,
 * 1 when negative; all zeros are middle grey all over.
 */
export function weightGreys(weights: Float32Array): Uint8Array<ArrayBuffer> {
  const largest = weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  return Uint8Array.from(weights, (value) => Math.round(128 + (127 * value) / largest));
}

export function meanSquaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;
}

/** The inverse of `greys`: a row like those of a data set, made of greys [in_dims] in their range. */
export function rowOfGreys(
  dataset: Dataset,
  values: Uint8Array<ArrayBuffer>,
  [black, white]: GreyRange,
): Dataset {
  const { data, normalization } = dataset;
  const { mean, std } = normalization;
  const stored = (grey: number) => (black + (grey / 255) * (white - black)) * std + mean;
  return {
    ...dataset,
    rows: 1,
    data: data instanceof Uint8Array ? values : Float32Array.from(values, stored),
  };
}
