import { EngineError } from '../../../gpu/errors.js';
import type { ImageShape, StoredRows } from '../rows.js';
import { concat, type Element } from './array.js';
import type { ByteSource, Fail } from './bytes.js';
import { type Packing, packings } from './packing.js';
import type { ImageDecoder } from './pixels.js';
import type { RowShape, ShapeOptions } from './shape.js';

/** A file that may hold rows: one on disk, or one that a page was given. */
export interface RowsFile {
  /** Its name in messages. */
  readonly name: string;
  /** Its length as it is stored, packed or not. */
  readonly bytes: number;
  /** How it is packed; undefined if it is not. */
  readonly packed: Packing | undefined;
  /**
   * Its bytes in pieces, unpacked. Each call begins anew.
   * @param begin the first byte, and `end` that after the last one, of a file that is not packed; by default all.
   */
  stream(begin?: number, end?: number): AsyncIterable<Uint8Array>;
  /** Fills `into` with the bytes from `begin` on, of a file that is not packed. @throws if it was changed meanwhile. */
  read(begin: number, into: Uint8Array<ArrayBuffer>): Promise<void>;
  /** The file of that name in the same folder; undefined if there is none. */
  beside?(name: string): Promise<RowsFile | undefined>;
  /** The error of reading it, in a sentence. */
  explain(error: unknown): EngineError;
  /** Its format, if that is none of the engine's, such as one that a library reads which opens files itself. */
  readonly format?: RowFormat;
}

/** What decides how the array of a file is read. */
export interface OpenOptions extends ShapeOptions {
  /** The name of an array or column, or a pattern with * and ?, in a file that names its own. */
  readonly tensor?: string | undefined;
  /** The type of values in raw files: those that are of no format that is known. */
  readonly rows_type?: Element | undefined;
  /** What images are read as where `image_shape` does not say it: those that a model was trained on. */
  readonly trained_shape?: ImageShape | undefined;
  /** Without it, images are no rows. */
  readonly image_decoder?: ImageDecoder | undefined;
  /** `keep` hands on values that are not finite, which are refused by default. */
  readonly nonfinite?: 'keep' | undefined;
  /** Most bytes when unpacked: a packed file can unpack to thousands of times its length. */
  readonly most_bytes?: number | undefined;
}

/** What was decided where a file leaves it open. */
export interface Note {
  /** Of several files, one is told of for each of these. */
  readonly about: 'array' | 'colours' | 'end' | 'names' | 'shape' | 'tokens';
  readonly sentence: string;
}

/** Rows of a file of which the header was read and checked. */
export interface OpenedRows extends Omit<RowShape, 'rows' | 'note'> {
  /** The file's name in messages. */
  readonly file: string;
  /** Undefined if only reading them tells. */
  readonly rows: number | undefined;
  /** 8-bit values as bytes, all others as f32. */
  readonly type: 'u8' | 'f32';
  /** What they are in the file. */
  readonly element: Element | 'text';
  readonly notes: readonly Note[];
  /**
   * Reads and checks all values, in pieces of whole rows, [any number, in_dims], one after another. Each call begins anew.
   * @param into memory for all of them, which they may be read into instead of new memory.
   * @throws DataError, and whatever the file throws.
   */
  pieces(into?: StoredRows): AsyncIterable<StoredRows>;
  /**
   * Reads and checks the rows from `first` up to, not including, `end`: [end - first, in_dims]. There is none where rows
   * can only be read from the first one on.
   * @param into as of `RowSource.read`.
   * @throws as `pieces`.
   */
  readonly at?: (first: number, end: number, into?: StoredRows) => Promise<StoredRows>;
  /** Whether `at` unpacks many rows to read some: where rows are read again and again, they are better unpacked once. */
  readonly unpacks?: boolean;
}

/** Bytes read at a time. */
const pieceBytes = 4 * 2 ** 20;

/** Rows of so many bytes that are read at a time. */
export function rowsAtATime(rowBytes: number): number {
  return Math.max(1, Math.floor(pieceBytes / rowBytes));
}

/**
 * The bytes of chunks in pieces of `bytes` each, in memory of their own; the last may be shorter.
 * @param allocate makes room for a piece.
 */
export async function* inPieces(
  chunks: AsyncIterable<Uint8Array>,
  bytes: number,
  allocate = (length: number): Uint8Array => new Uint8Array(length),
): AsyncGenerator<Uint8Array> {
  let piece: Uint8Array | undefined;
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      piece ??= allocate(bytes);
      const part = chunk.subarray(at, at + bytes - filled);
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === bytes) {
        yield piece;
        piece = undefined;
        filled = 0;
      }
    }
  }
  if (piece) yield piece.subarray(0, filled);
}

/** Rows from their places as `pieces` gives them. */
export async function* piecesAt(
  rows: number,
  rowBytes: number,
  at: NonNullable<OpenedRows['at']>,
  into?: StoredRows,
): AsyncGenerator<StoredRows> {
  const each = rowsAtATime(rowBytes);
  const width = into ? into.length / rows : 0;
  for (let first = 0; first < rows; first += each) {
    const end = Math.min(rows, first + each);
    yield await at(first, end, into?.subarray(first * width, end * width));
  }
}

/** A file format. Those that are a header followed by values are made by `headed`. */
export interface RowFormat {
  /** Its name in messages, such as `.npy`. */
  readonly name: string;
  readonly article: 'a' | 'an';
  /** How names of such files end, when they are not packed. */
  readonly endings: RegExp;
  /** Whether its files name their arrays, of which `tensor` picks one. */
  readonly named?: true;
  /** A file that stands beside each of its files, without which a file is none. */
  readonly beside?: string;
  /** A file in JSON that lists what files of rows its folder has; undefined if it is not such a list. */
  readonly listed?: { readonly file: string; files(json: unknown): readonly string[] | undefined };
  /** Whether raw values may begin like such a file: then its name counts too, where raw files are expected. */
  readonly unsure?: true;
  /**
   * Whether a file is of this format, by its first `recognizedBytes` bytes, or all of them if it has fewer; by its name
   * only where nothing at its beginning tells.
   */
  recognizes(head: Uint8Array, name: string): boolean;
  /** Reads and checks the header. @throws DataError, and whatever the file throws. */
  open(file: RowsFile, options: OpenOptions): Promise<OpenedRows>;
}

/** Most headers are shorter. */
const usualHeader = 512;

/** Longer and longer beginnings of a file, unpacked; the last is all of it. @throws whatever the file throws. */
export async function* beginnings(file: RowsFile): AsyncGenerator<Uint8Array> {
  if (file.packed) {
    let head: Uint8Array = new Uint8Array(0);
    for await (const chunk of file.stream()) {
      head = concat(head, chunk);
      yield head;
    }
    return;
  }
  for (let length = usualHeader; ; length *= 8) {
    const head = new Uint8Array(Math.min(length, file.bytes));
    await file.read(0, head);
    yield head;
    if (length >= file.bytes) return;
  }
}

/**
 * A file for reading parts of it.
 * @param fail is called if it is packed.
 */
export function partsOf(file: RowsFile, fail: Fail): ByteSource {
  if (file.packed) {
    fail(
      `it is packed with ${file.packed}, and what is in it is read from its place. Unpack it with ${packings[file.packed].program}.`,
    );
  }
  return { length: file.bytes, read: (begin, into) => file.read(begin, into) };
}

/** Does it, with errors of reading the file in sentences. @throws EngineError. */
export async function explained<T>(file: RowsFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof EngineError ? error : file.explain(error);
  }
}
