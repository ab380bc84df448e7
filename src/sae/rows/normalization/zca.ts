import { ConfigError, DataError } from '../../errors.js';
import { addRowProducts } from '../../products.js';
import { grouped } from '../formats/array.js';
import type { StoredRows } from '../stored.js';
import { type FittedRows, type NormalizationKind, smallestNormalF32 } from './kind.js';

/**
 * Whitening that changes rows as little as possible (ZCA): y = matrix (x - mean), with matrix = (C + epsilon I)^(-1/2) for
 * the covariance C of the rows it was fitted to.
 */
export interface Zca {
  readonly kind: 'zca';
  /** [in_dims]. */
  readonly mean: Float32Array<ArrayBuffer>;
  /** Symmetric, [in_dims, in_dims]. */
  readonly matrix: Float32Array<ArrayBuffer>;
  /** Its inverse, (C + epsilon I)^(1/2). */
  readonly inverse: Float32Array<ArrayBuffer>;
  readonly epsilon: number;
  /** How many rows it was fitted to. */
  readonly rows: number;
}

/** Values of a row, at most: eigenvectors of so many take seconds, and so do 10,000 rows. */
const mostValues = 1024;
/** Rows that the covariance is computed from, at most. */
const mostRows = 16_384;
/** What epsilon is of the mean variance of a value: directions with less variance than that are hardly amplified. */
const epsilonShare = 0.01;
/** Rows of a product, at a time. */
const rowsAtATime = 256;

export const zca: NormalizationKind<Zca> = {
  arrays: (in_dims) => ({ mean: [in_dims], matrix: [in_dims, in_dims], inverse: [in_dims, in_dims] }),
  numbers: ['epsilon', 'rows'],
  linear: true,
  cost: (in_dims) => in_dims,

  async fit(rows) {
    const { name, in_dims, unit } = rows;
    if (in_dims > mostValues) {
      throw new ConfigError(
        `normalize zca takes rows of at most ${grouped(mostValues)} values, and those of ${name} have ${grouped(in_dims)}. Use standardize, or ` +
          'smaller images or patches.',
      );
    }
    const { sample, mean } = await sampled(rows);
    const covariance = covarianceOf(sample, mean, in_dims, unit);
    let trace = 0;
    for (let j = 0; j < in_dims; j++) trace += covariance[j * in_dims + j];
    const epsilon = (epsilonShare * trace) / in_dims;
    if (Math.sqrt(epsilon) < smallestNormalF32) {
      throw new DataError(
        `All rows of ${name} are the same, or nearly so, and cannot be whitened. Use normalize none, or data that vary.`,
      );
    }
    const count = sample.length / in_dims;
    if (count < rows.rows) {
      rows.note(
        `normalize zca is computed from ${grouped(count)} of the ${grouped(rows.rows)} rows of ${name}, spread evenly over them.`,
      );
    }
    // Only who whitens rows loads it.
    const { EigenvalueDecomposition, Matrix } = await import('ml-matrix');
    const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
      Matrix.from1DArray(in_dims, in_dims, covariance),
      { assumeSymmetric: true },
    );
    const vectors = Float64Array.from(eigenvectorMatrix.to1DArray());
    const damped = realEigenvalues.map((value) => Math.max(value, 0) + epsilon);
    return {
      kind: 'zca',
      mean: Float32Array.from(mean, (value) => value * unit),
      matrix: withEigenvalues(
        vectors,
        damped.map((value) => value ** -0.5),
      ),
      inverse: withEigenvalues(
        vectors,
        damped.map((value) => value ** 0.5),
      ),
      epsilon,
      rows: count,
    };
  },

  isUsable: ({ epsilon }) => epsilon > 0,

  apply({ mean, matrix }, values, unit, in_dims, out) {
    multiply(matrix, values.length / in_dims, in_dims, out, (from, piece) => {
      for (let i = 0; i < piece.length; i++) piece[i] = values[from + i] * unit - mean[i % in_dims];
    });
  },

  undo({ mean, inverse }, values, _, unit, in_dims, out) {
    multiply(inverse, values.length / in_dims, in_dims, out, (from, piece) => {
      piece.set(values.subarray(from, from + piece.length));
    });
    for (let i = 0; i < out.length; i++) out[i] = (out[i] + mean[i % in_dims]) / unit;
  },
};

/** Some of the rows, [rows, in_dims], and their mean, as they are stored. */
async function sampled(rows: FittedRows): Promise<{ sample: Float32Array; mean: Float64Array }> {
  const { in_dims } = rows;
  const sample = new Float32Array(Math.min(rows.rows, mostRows) * in_dims);
  let filled = 0;
  for await (const values of rows.sample(mostRows)) {
    sample.set(values, filled);
    filled += values.length;
  }
  const mean = new Float64Array(in_dims);
  for (let i = 0; i < sample.length; i++) mean[i % in_dims] += sample[i];
  return { sample, mean: mean.map((sum) => (sum * in_dims) / sample.length) };
}

/** [in_dims, in_dims], in normalised units but for their scale. */
function covarianceOf(
  sample: StoredRows,
  mean: Float64Array,
  in_dims: number,
  unit: number,
): Float64Array<ArrayBuffer> {
  const rows = sample.length / in_dims;
  const covariance = new Float64Array(in_dims * in_dims);
  const columns = new Float64Array(rowsAtATime * in_dims);
  for (let first = 0; first < rows; first += rowsAtATime) {
    const count = Math.min(rowsAtATime, rows - first);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < in_dims; j++) {
        columns[j * count + i] = (sample[(first + i) * in_dims + j] - mean[j]) * unit;
      }
    }
    const centred = { data: columns, rows: in_dims };
    addRowProducts(centred, centred, count, covariance, true);
  }
  return covariance.map((sum) => sum / rows);
}

/** The symmetric matrix with these eigenvectors, the columns of a square matrix, and eigenvalues, all of them positive. */
function withEigenvalues(vectors: Float64Array, values: readonly number[]): Float32Array<ArrayBuffer> {
  const count = values.length;
  const scaled = vectors.map((value, i) => value * Math.sqrt(values[i % count]));
  const matrix = new Float64Array(count * count);
  const rows = { data: scaled, rows: count };
  addRowProducts(rows, rows, count, matrix, true);
  return Float32Array.from(matrix);
}

/**
 * Multiplies rows by a symmetric matrix, into `out`, [rows, in_dims]: products are summed in double.
 * @param fill puts the values from that place on into a piece.
 */
function multiply(
  matrix: Float32Array,
  rows: number,
  in_dims: number,
  out: Float32Array,
  fill: (from: number, piece: Float64Array) => void,
): void {
  const columns = { data: matrix, rows: in_dims };
  for (let first = 0; first < rows; first += rowsAtATime) {
    const count = Math.min(rowsAtATime, rows - first);
    const piece = new Float64Array(count * in_dims);
    fill(first * in_dims, piece);
    const products = new Float64Array(piece.length);
    addRowProducts({ data: piece, rows: count }, columns, in_dims, products);
    out.set(products, first * in_dims);
  }
}
