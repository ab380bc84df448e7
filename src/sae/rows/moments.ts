import type { StoredRows } from './rows.js';

/** The moments of some rows. */
export interface MomentsState {
  readonly rows: number;
  /** The sum over rows and columns of (x - mean)². */
  readonly squares: number;
  /** Of each column. */
  readonly mean: Float64Array;
}

/**
 * The mean of each column of rows, and the sum of their squared distances from it, in double. Blocks of rows are merged
 * one after another (Chan, Golub and LeVeque, 1979), so that nothing is read twice.
 */
export class RowMoments implements MomentsState {
  #rows = 0;
  #squares = 0;
  readonly #mean: Float64Array;

  /** @param columns values a row. */
  constructor(readonly columns: number) {
    this.#mean = new Float64Array(columns);
  }

  /** Rows so far. */
  get rows(): number {
    return this.#rows;
  }

  /** The mean of each column, [columns]; zeros before the first row. */
  get mean(): Float64Array {
    return this.#mean;
  }

  /** The sum over rows and columns of (x - mean)². */
  get squares(): number {
    return this.#squares;
  }

  /** Adds rows, [rows, columns], in the units in which they are stored. */
  add(values: StoredRows): void {
    const { columns } = this;
    const rows = values.length / columns;
    // Distances from the first row, which are small where values vary little around a large mean.
    const first = Float64Array.from(values.subarray(0, columns));
    const sums = new Float64Array(columns);
    // Two sums do not wait for each other.
    let [even, odd] = [0, 0];
    const pairs = columns - (columns % 2);
    for (let i = 0; i < values.length; i += columns) {
      for (let j = 0; j < pairs; j += 2) {
        const a = values[i + j] - first[j];
        const b = values[i + j + 1] - first[j + 1];
        sums[j] += a;
        sums[j + 1] += b;
        even += a * a;
        odd += b * b;
      }
      if (pairs < columns) {
        const distance = values[i + pairs] - first[pairs];
        sums[pairs] += distance;
        even += distance * distance;
      }
    }
    const squares = even + odd;
    const mean = sums.map((sum, j) => first[j] + sum / rows);
    const around = squares - sums.reduce((total, sum) => total + sum ** 2, 0) / rows;
    this.merge({ rows, mean, squares: Math.max(0, around) });
  }

  /** Adds the rows whose moments these are. */
  merge({ rows, mean, squares }: MomentsState): void {
    if (rows === 0) {
      return;
    }
    const all = this.#rows + rows;
    this.#squares += squares;
    for (let j = 0; j < mean.length; j++) {
      const apart = mean[j] - this.#mean[j];
      this.#squares += ((apart ** 2 * this.#rows) / all) * rows;
      this.#mean[j] += (apart * rows) / all;
    }
    this.#rows = all;
  }
}
