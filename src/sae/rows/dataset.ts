import { DataError, NonFiniteError } from '../errors.js';
import { checkNormalized, checkValues } from './check.js';
import { pickLabels, sliceLabels } from './labels.js';
import { isOnHost, normalizedOnHost, undoneOnHost } from './normalization/index.js';
import type { Dataset, HostNormalization, ImageShape, Normalization, ScalarNormalization } from './rows.js';
import { unitOf } from './stored.js';
import { notFinite } from './values.js';

export type { Dataset, HostNormalization, ImageShape, Normalization, ScalarNormalization };

/** Mean and standard deviation of MNIST's training digits, as the original program has them. */
export const mnistNormalization: ScalarNormalization = { mean: 0.1307, std: 0.3081 };

/** Leaves floats as they are and 8-bit values in 0..1. */
export const noNormalization: ScalarNormalization = { mean: 0, std: 1 };

/**
 * The rows from `first` up to, not including, `end`, as a view of the same memory.
 * @throws DataError if there are no such rows.
 */
export function sliceRows(dataset: Dataset, first: number, end: number): Dataset {
  const { in_dims, data, labels } = dataset;
  if (![first, end].every(Number.isInteger) || first < 0 || end < first || end > dataset.rows) {
    throw new DataError(`${dataset.name} has ${dataset.rows} rows, and none from ${first} up to ${end}.`);
  }
  return {
    ...dataset,
    rows: end - first,
    data: data.subarray(first * in_dims, end * in_dims),
    ...sliceLabels(labels, first, end),
  };
}

/**
 * The rows as the model takes them, normalised: [rows, in_dims].
 * @param first the number of the first row in messages.
 * @throws DataError if a value is not finite.
 */
export function normalizedRows(dataset: Dataset, first = 0): Float32Array<ArrayBuffer> {
  const { data, in_dims, normalization } = dataset;
  checkValues(data, dataset, first);
  if (isOnHost(normalization)) {
    const values = normalizedOnHost(data, in_dims, normalization);
    checkNormalized(values, data, dataset, first);
    return values;
  }
  const scale = unitOf(data);
  const { mean, std } = normalization;
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    out[i] = (data[i] * scale - mean) / std;
  }
  return out;
}

/**
 * What `normalizedRows` does, undone: reconstructions [rows, in_dims] in the units in which a data set stores its rows,
 * where 8-bit values reach from 0 to 255.
 * @param dataset the rows that were reconstructed.
 * @throws NonFiniteError if a value is beyond the range of f32 there.
 */
export function storedUnits(
  values: Float32Array<ArrayBuffer>,
  { name, data, in_dims, normalization }: Pick<Dataset, 'name' | 'data' | 'in_dims' | 'normalization'>,
): Float32Array<ArrayBuffer> {
  const out = isOnHost(normalization)
    ? undoneOnHost(values, data, in_dims, normalization)
    : undone(values, data instanceof Uint8Array ? 255 : 1, normalization);
  if (notFinite(out) >= 0) {
    throw new NonFiniteError(
      `A reconstruction of ${name} is too large for f32 in the units of its rows. Scale the rows down.`,
    );
  }
  return out;
}

function undone(values: Float32Array, scale: number, { mean, std }: ScalarNormalization) {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    out[i] = (values[i] * std + mean) * scale;
  }
  return out;
}

/** The given rows as a data set of their own. @throws DataError if there is no such row. */
export function pickRows(dataset: Dataset, indices: readonly number[]): Dataset {
  const { in_dims, data, labels } = dataset;
  const picked =
    data instanceof Uint8Array
      ? new Uint8Array(indices.length * in_dims)
      : new Float32Array(indices.length * in_dims);
  indices.forEach((row, i) => {
    if (!Number.isInteger(row) || row < 0 || row >= dataset.rows) {
      throw new DataError(`${dataset.name} has rows 0 to ${dataset.rows - 1}, and no row ${row}.`);
    }
    picked.set(data.subarray(row * in_dims, (row + 1) * in_dims), i * in_dims);
  });
  return {
    ...dataset,
    rows: indices.length,
    data: picked,
    ...pickLabels(labels, indices),
  };
}
