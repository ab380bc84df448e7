import {
  type Dataset,
  type ImageShape,
  noNormalization,
  normalizedRows,
  storedUnits,
} from '../rows/dataset.js';
import { isOnHost } from '../rows/normalization/index.js';
import type { RowSource, StoredRows } from '../rows/source.js';

/**
 * The shape of a row as an image: the data's image_shape, else a square of greys if in_dims is a square number and the
 * values are bytes, as pixels are. Undefined for other rows: floats may be anything.
 */
export function imageShape(
  rows: Pick<Dataset, 'in_dims' | 'image_shape'> & {
    readonly data?: StoredRows;
    readonly type?: RowSource['type'];
  },
): ImageShape | undefined {
  const { in_dims, image_shape, data, type } = rows;
  if (image_shape) return image_shape;
  if (type !== 'u8' && !(data instanceof Uint8Array)) return undefined;
  const side = Math.round(Math.sqrt(in_dims));
  return side * side === in_dims ? [side, side] : undefined;
}

/** Values that are shown as black and as white. */
export type GreyRange = readonly [black: number, white: number];

/** The smallest and the largest of some values. */
export function rangeOf(values: Float32Array | Uint8Array): GreyRange {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/**
 * The range of a data set's rows in the units in which pictures show them: of all 8-bit values, or of the floats that are
 * there.
 */
export function inputRange({ data, normalization }: Dataset): GreyRange {
  if (isOnHost(normalization)) {
    return data instanceof Uint8Array ? [0, 255] : rangeOf(data);
  }
  const { mean, std } = normalization;
  const [low, high] = data instanceof Uint8Array ? [0, 1] : rangeOf(data);
  return [(low - mean) / std, (high - mean) / std];
}

/**
 * Rows as pictures show them, [rows, in_dims]. Where the same two numbers normalise all values they are normalised, which
 * leaves their greys as they are; otherwise they are as they are stored.
 */
export function shownRows(dataset: Dataset): Float32Array<ArrayBuffer> {
  return isOnHost(dataset.normalization) ? Float32Array.from(dataset.data) : normalizedRows(dataset);
}

/** Reconstructions of a data set's rows, in the same units. @throws NonFiniteError if one is beyond the range of f32. */
export function shownReconstructions(
  reconstructions: Float32Array<ArrayBuffer>,
  dataset: Dataset,
): Float32Array<ArrayBuffer> {
  return isOnHost(dataset.normalization) ? storedUnits(reconstructions, dataset) : reconstructions;
}

/** Values as greys from 0, black, to 255, white; those outside the range are clamped to it. */
export function greys(values: Float32Array, [black, white]: GreyRange): Uint8Array<ArrayBuffer> {
  const range = white > black ? white - black : 1;
  return Uint8Array.from(values, (value) =>
    Math.round(255 * Math.min(1, Math.max(0, (value - black) / range))),
  );
}

/**
 * Weights as greys, scaled by their largest magnitude: 128, middle grey, is zero, 255 the largest magnitude when
 * positive, 1 when negative. If all are zeros, all are middle grey.
 */
export function weightGreys(weights: Float32Array): Uint8Array<ArrayBuffer> {
  const largest = weights.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const greys = new Uint8Array(weights.length);
  // A loop, since `from` is slow for arrays: pictures have millions of values.
  for (let i = 0; i < weights.length; i++) {
    greys[i] = Math.round(128 + (127 * weights[i]) / largest);
  }
  return greys;
}

/** The mean of the squared differences of two arrays of the same length. */
export function meanSquaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;
}

/** The inverse of `greys` of `shownRows`: makes a row like those of a data set from greys [in_dims]. */
export function rowOfGreys(
  dataset: Dataset,
  values: Uint8Array<ArrayBuffer>,
  [black, white]: GreyRange,
): Dataset {
  const { labels: _, ...others } = dataset;
  const { data, normalization } = others;
  const { mean, std } = isOnHost(normalization) ? noNormalization : normalization;
  const stored = (grey: number) => (black + (grey / 255) * (white - black)) * std + mean;
  return {
    ...others,
    rows: 1,
    data: data instanceof Uint8Array ? values : Float32Array.from(values, stored),
  };
}
