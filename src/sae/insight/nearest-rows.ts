import { sampleRows } from '../model/random.js';
import type { Dataset } from '../rows/dataset.js';
import { largest } from './largest.js';

/** Values that are compared at a time, at most: a few milliseconds' work, so that it can be done while a slider moves. */
const mostValues = 2 ** 23;

/** A row of a data set, and the cosine of its angle with what was asked for. */
export interface NearRow {
  readonly row: number;
  readonly cosine: number;
}

/** Finds the rows of a data set that are nearest to a reconstruction, by cosine, in the units in which rows are stored. */
export class NearestRows {
  /** The rows that are compared: all or, of very many values, a sample. */
  readonly rows: readonly number[];
  readonly #norms: Float64Array;

  constructor(readonly dataset: Dataset) {
    const { rows, in_dims, data } = dataset;
    const most = Math.max(1, Math.floor(mostValues / in_dims));
    this.rows =
      rows <= most
        ? Array.from({ length: rows }, (_, row) => row)
        : sampleRows(rows, most, 0).sort((a, b) => a - b);
    this.#norms = Float64Array.from(this.rows, (row) => {
      const from = row * in_dims;
      return norm(data.subarray(from, from + in_dims));
    });
  }

  /**
   * The rows nearest to a reconstruction, the nearest first, of equal ones the first. The cosine with what has norm 0 is 0.
   * @param values of it, [in_dims], as `storedUnits` gives them.
   * @param count of rows, at most.
   */
  of(values: Float32Array, count: number): NearRow[] {
    const { data, in_dims } = this.dataset;
    const own = norm(values);
    const cosines = Float64Array.from(this.rows, (row, at) => {
      const length = own * this.#norms[at];
      if (length === 0) return 0;
      let product = 0;
      const first = row * in_dims;
      for (let i = 0; i < in_dims; i++) product += data[first + i] * values[i];
      return product / length;
    });
    return largest(cosines, count).map((at) => ({ row: this.rows[at], cosine: cosines[at] }));
  }
}

function norm(values: Float32Array | Uint8Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}
