import { EngineError } from '../../../gpu/errors.js';
import type { StoredRows } from '../rows.js';
import type { RowShape, ShapeOptions } from './shape.js';

/** Where the bytes of a file come from. */
export interface ByteSource {
  /** Bytes in all. */
  readonly length: number;
  /** Fills `into` with the bytes from `begin` on. */
  read(begin: number, into: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** A file that may hold rows: one on disk, or one that a page was given. */
export interface RowsFile {
  /** Its name in messages. */
  readonly name: string;
  /** Its length as it is stored, gzipped or not. */
  readonly bytes: number;
  readonly gzipped: boolean;
  /** Its bytes in pieces, unpacked. Each call begins anew. */
  stream(): AsyncIterable<Uint8Array>;
  /** The error of reading it, in a sentence. */
  explain(error: unknown): EngineError;
}

/** What decides how the array of a file is read. */
export interface OpenOptions extends ShapeOptions {
  /** Most bytes when unpacked: a gzipped file can unpack to a thousand times its length. */
  readonly most_bytes?: number | undefined;
}

/** Rows of a file of which the header was read and checked. */
export interface OpenedRows extends Omit<RowShape, 'note'> {
  /** The file's name in messages. */
  readonly file: string;
  /** 8-bit values as bytes, all others as f32. */
  readonly type: 'u8' | 'f32';
  /** What was decided where the file leaves it open. */
  readonly notes: readonly string[];
  /**
   * Reads and checks all values: [rows, in_dims].
   * @param into where they are to be, of that length; by default memory of their own.
   * @throws DataError, and whatever the file throws.
   */
  read(into?: StoredRows): Promise<StoredRows>;
}

/** A file format. Those that are a header followed by values are made by `headed`. */
export interface RowFormat {
  /** Its name in messages, such as `.npy`. */
  readonly name: string;
  readonly article: 'a' | 'an';
  /** Whether a file is of this format, by its first `recognizedBytes` bytes, or all of them if it has fewer. */
  recognizes(head: Uint8Array): boolean;
  /** Reads and checks the header. @throws DataError, and whatever the file throws. */
  open(file: RowsFile, options: OpenOptions): Promise<OpenedRows>;
}

/** Does it, with errors of reading the file in sentences. @throws EngineError. */
export async function explained<T>(file: RowsFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof EngineError ? error : file.explain(error);
  }
}
