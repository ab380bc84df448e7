/** Values that are not 0, in the order of their rows and columns. */
export interface NonzeroValues {
  readonly data: Float32Array<ArrayBuffer>;
  /** The column of each. */
  readonly indices: Int32Array<ArrayBuffer>;
  /** How many there are in each row. */
  readonly counts: Int32Array<ArrayBuffer>;
}

/** @param values [rows, columns]. */
export function nonzeroValues(values: Float32Array, columns: number): NonzeroValues {
  const rows = values.length / columns;
  const counts = new Int32Array(rows);
  let all = 0;
  for (let row = 0, i = 0; row < rows; row++) {
    const before = all;
    for (const end = i + columns; i < end; i++) if (values[i] !== 0) all += 1;
    counts[row] = all - before;
  }
  const data = new Float32Array(all);
  const indices = new Int32Array(all);
  let filled = 0;
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      if (values[i] !== 0) {
        data[filled] = values[i];
        indices[filled] = column;
        filled += 1;
      }
    }
  }
  return { data, indices, counts };
}

const largestI32 = 2 ** 31 - 1;

/**
 * Whether indices of a CSR matrix need 64 bits, as in SciPy: all of them do if there are more values than an i32 counts, for
 * the last entry of `indptr` is their number.
 */
export function needsI64(values: number): boolean {
  return values > largestI32;
}

/** Numbers of 32 bits that are not negative as such of 64, little-endian. */
export function widened(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(2 * numbers.length);
  numbers.forEach((number, i) => {
    wide[2 * i] = number;
  });
  return wide;
}

/** Makes `indptr` of counts: where each row begins in `data` and `indices` and, at last, where these end. */
export class RowPointers {
  #end = 0;

  /** @param wide whether they are of 64 bits, little-endian. */
  constructor(private readonly wide: boolean) {}

  /** The 0 with which `indptr` begins. */
  first(): Int32Array<ArrayBuffer> {
    return new Int32Array(this.wide ? 2 : 1);
  }

  /** The ends of the next rows. */
  next(counts: Int32Array): Int32Array<ArrayBuffer> {
    const size = this.wide ? 2 : 1;
    const ends = new Int32Array(size * counts.length);
    counts.forEach((count, i) => {
      this.#end += count;
      ends[size * i] = this.#end;
      if (this.wide) ends[size * i + 1] = this.#end / 2 ** 32;
    });
    return ends;
  }
}
