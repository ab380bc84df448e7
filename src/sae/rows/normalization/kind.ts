import type { StoredRows } from '../stored.js';

export const smallestNormalF32 = 2 ** -126;

/** Rows that a normalisation is fitted to. Their values are as they are stored. */
export interface FittedRows {
  /** The data set's name in messages. */
  readonly name: string;
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  /** What values are multiplied by first: 1 / 255 for 8-bit values, else 1. */
  readonly unit: number;
  /** All rows, in their order, some at a time, which are gone when the next ones are asked for. */
  all(): AsyncIterable<StoredRows>;
  /** That many rows, or all if there are fewer, spread evenly over the data; in the same way. */
  sample(most: number): AsyncIterable<StoredRows>;
  /** Tells the user what was decided, in a sentence. */
  note(sentence: string): void;
}

/** A kind of normalisation that the host applies where rows are read. `N` is one that was fitted. */
export interface NormalizationKind<N extends { readonly kind: string }> {
  /** The arrays of f32 that it holds, by their names, and their shapes. */
  arrays(in_dims: number): Readonly<Record<string, readonly number[]>>;
  /** The names of the numbers that it holds. */
  readonly numbers: readonly string[];
  /**
   * Whether rows are multiplied by a symmetric matrix after its array `mean` is subtracted: so it can be folded into
   * weights.
   */
  readonly linear: boolean;
  /** Multiplications for each value of a row. */
  cost(in_dims: number): number;
  /** @throws ConfigError, DataError if it is impossible for these rows. */
  fit(rows: FittedRows): Promise<N>;
  /** Whether it can be undone, given that all arrays have their shapes and all numbers are finite. */
  isUsable(normalization: N): boolean;
  /** Normalises rows, [rows, in_dims], whose values are multiplied by `unit` first, into `out` of the same length. */
  apply(normalization: N, values: StoredRows, unit: number, in_dims: number, out: Float32Array): void;
  /**
   * Undoes that: puts `values`, [rows, in_dims], into the units of the rows as they are stored.
   * @param stored the rows themselves, [rows, in_dims].
   */
  undo(
    normalization: N,
    values: Float32Array,
    stored: StoredRows,
    unit: number,
    in_dims: number,
    out: Float32Array,
  ): void;
}
