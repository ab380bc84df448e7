import type { HostNormalization, Normalization, ScalarNormalization } from './normalization/index.js';
import type { StoredRows } from './stored.js';

export type { HostNormalization, Normalization, ScalarNormalization, StoredRows };

/**
 * How rows are images: [height, width] of grey values or, with a third side, of red, green and blue values, which lie beside each
 * other (channels last).
 */
export type ImageShape =
  | readonly [height: number, width: number]
  | readonly [height: number, width: number, channels: 3];

/** A data set in memory: one row per example. */
export interface Dataset {
  /** Its name in messages: `mnist`, `mnist-10k` or a file's name. */
  readonly name: string;
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  /** [rows, in_dims], row-major, as stored: not normalised. */
  readonly data: Uint8Array | Float32Array;
  /** Set if rows are images. Its product is in_dims. */
  readonly image_shape?: ImageShape;
  readonly normalization: Normalization;
  /** What each row is, such as a word: [rows]. */
  readonly labels?: readonly string[];
}

/** Rows that are read in blocks, such as those that do not fit into memory or on the device. */
export interface RowSource {
  /** Its name in messages. */
  readonly name: string;
  readonly rows: number;
  /** Values per row. */
  readonly in_dims: number;
  readonly type: 'u8' | 'f32';
  /** As of a `Dataset`. */
  readonly image_shape?: ImageShape;
  readonly normalization: Normalization;
  /** As of a `Dataset`. */
  readonly labels?: readonly string[];
  /** Whether each row can be read once only, in order, as from a pipe. */
  readonly once?: true;
  /**
   * The rows from `first` up to, not including, `end`: [end - first, in_dims]. It may be called again before it has ended.
   * @param into memory of the caller for so many values, which may be used instead of new memory.
   */
  read(first: number, end: number, into?: StoredRows): StoredRows | Promise<StoredRows>;
}

/** Rows in memory, or such that are read in blocks. */
export type Rows = Dataset | RowSource;

/** Rows that the host normalises. They are read as they are stored. */
export interface HostRows extends RowSource {
  readonly normalization: HostNormalization;
}

/** Rows as they go to the device: kernels apply the two numbers of their normalisation as they read. */
export interface DeviceRows extends RowSource {
  readonly normalization: ScalarNormalization;
  /** If the host has normalised them already: the rows as they are stored. */
  readonly stored?: HostRows;
}
