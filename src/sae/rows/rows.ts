/** Turns a stored value v into an input: (v - mean) / std. 8-bit values are divided by 255 first. */
export interface Normalization {
  readonly mean: number;
  readonly std: number;
}

/** A data set in memory: one row per example. */
export interface Dataset {
  /** Its name in messages: `mnist`, `mnist-10k` or a file's name. */
  readonly name: string;
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  /** [rows, in_dims], row-major, as stored: not normalised. */
  readonly data: Uint8Array | Float32Array;
  /** [height, width] if rows are images; height * width = in_dims. */
  readonly image_shape?: readonly [number, number];
  readonly normalization: Normalization;
}

/** Rows as they are stored: 8-bit values as bytes, all others as f32. Row-major, not normalised. */
export type StoredRows = Uint8Array | Float32Array;

/** Rows that are read in blocks, such as those that do not fit into memory or on the device. */
export interface RowSource {
  /** Its name in messages. */
  readonly name: string;
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  readonly type: 'u8' | 'f32';
  /** As of a `Dataset`. */
  readonly image_shape?: readonly [number, number];
  readonly normalization: Normalization;
  /** Whether each row can be read once only, in order, as from a pipe. */
  readonly once?: true;
  /** The rows from `first` up to, not including, `end`: [end - first, in_dims]. It may be called again before it has ended. */
  read(first: number, end: number): StoredRows | Promise<StoredRows>;
}

/** Rows in memory, or such that are read in blocks. */
export type Rows = Dataset | RowSource;
