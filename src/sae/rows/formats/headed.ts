import { DataError } from '../../errors.js';
import type { StoredRows } from '../rows.js';
import { type ArrayRows, bytesFor, rowsOf, streamedRows } from '../values.js';
import { type ArrayHeader, elements, grouped, longestHeader, product } from './array.js';
import {
  beginnings,
  type OpenedRows,
  type OpenOptions,
  piecesAt,
  type RowFormat,
  type RowsFile,
} from './file.js';
import { packings } from './packing.js';
import { scatteredRows } from './scattered.js';
import { rowShape } from './shape.js';

/** A file format with a header followed by values, which fill the rest of the file. */
export interface HeadedFormat extends Omit<RowFormat, 'recognizes' | 'open'> {
  /** Whether a file is of this format, by its first `recognizedBytes` bytes, or all of them if it has fewer. */
  recognizes(head: Uint8Array): boolean;
  /**
   * Reads the header at the start of `head`; undefined if more bytes are needed, up to `longestHeader`.
   * @throws DataError.
   */
  parseHeader(head: Uint8Array, file: string): ArrayHeader | undefined;
}

/** Formats differ in how they are recognised and in their headers; their values are read alike. */
export function headed(format: HeadedFormat): RowFormat {
  const { name } = format;
  return {
    ...format,
    recognizes: (head) => format.recognizes(head),
    async open(file, options) {
      const header = await readHeader(format, file);
      const { headerBytes } = header;
      const values = async function* () {
        let before = headerBytes;
        for await (const chunk of file.stream()) {
          yield before > 0 ? chunk.subarray(before) : chunk;
          before = Math.max(0, before - chunk.length);
        }
      };
      const read = file.packed ? undefined : file.read;
      return openedArray(file.name, header, file, options, name, { values, read });
    },
  };
}

async function readHeader(format: HeadedFormat, file: RowsFile): Promise<ArrayHeader> {
  const { name, article } = format;
  let length = 0;
  for await (const head of beginnings(file)) {
    length = head.length;
    // The first piece of a stream may be shorter than a magic number.
    const header = format.recognizes(head) ? format.parseHeader(head, file.name) : undefined;
    if (header) return header;
    if (length > longestHeader) {
      throw new DataError(
        `${file.name} has ${article} ${name} header of more than ${grouped(longestHeader)} bytes; expected at most that. The file ` +
          'is damaged.',
      );
    }
  }
  throw new DataError(
    `${file.name} ends within its header, after ${length} bytes; expected ${article} ${name} file.`,
  );
}

/** How the values of an array are read: one after another, from their places, or both. */
type ValuesOf =
  | {
      /** The bytes of the values alone, in pieces. */
      values(): AsyncIterable<Uint8Array>;
      /** Fills `into` with bytes from their place in the file, if they can be read from there. */
      readonly read?: RowsFile['read'] | undefined;
    }
  | {
      readonly values?: never;
      /** Fills `into` with bytes of whole rows from their place in what the header describes. */
      readonly read: RowsFile['read'];
      /** What that is in messages: ` of the column`. */
      readonly within: string;
    };

/**
 * The rows of an array whose header is known. Nothing is allocated for what the header claims but the file is too short
 * for.
 * @param source the array's name in messages: the file's, with what says where it is in that.
 * @param stored the length of what holds the header and the values, packed or not.
 * @param format the name of the header's format.
 * @throws DataError.
 */
export function openedArray(
  source: string,
  header: ArrayHeader,
  stored: Pick<RowsFile, 'bytes' | 'packed'>,
  options: OpenOptions,
  format: string,
  from: ValuesOf,
): OpenedRows {
  const described = describedRows(source, header, options);
  checkLength(format, header, described, stored, source, options.most_bytes);
  const within = 'within' in from ? from.within : stored.packed ? ' of the unpacked data' : '';
  const array = { header, shape: described, file: source, within, nonfinite: options.nonfinite };
  return { ...described, ...readingOf(array, from) };
}

function readingOf(array: ArrayRows, { values, read }: ValuesOf): Pick<OpenedRows, 'at' | 'pieces'> {
  if (!read) return { pieces: () => streamedRows(values!(), array) };
  if (!array.header.fortranOrder) return placed(array, read);
  const { headerBytes: begin, ...header } = array.header;
  const strides = header.shape.map((_, k) => product(header.shape.slice(0, k)));
  return { pieces: () => scatteredRows(array, { ...header, strides, begin }, read) };
}

/** How an array is rows, of the width that is asked for. @throws DataError. */
export function describedRows(
  source: string,
  header: ArrayHeader,
  options: OpenOptions,
): Omit<OpenedRows, 'at' | 'pieces' | 'rows'> & { readonly rows: number } {
  const { note, ...shape } = rowShape(header, source, options);
  const { in_dims } = shape;
  if (options.in_dims !== undefined && in_dims !== options.in_dims) {
    throw otherWidth(source, in_dims, options.in_dims);
  }
  return {
    file: source,
    type: header.element === 'u8' ? 'u8' : 'f32',
    element: header.element,
    ...shape,
    notes: note === undefined ? [] : [{ about: 'shape', sentence: note }],
  };
}

/** Rows of which each has its place. */
function placed(array: ArrayRows, read: RowsFile['read']): Pick<OpenedRows, 'at' | 'pieces'> {
  const { header, shape } = array;
  const rowBytes = shape.in_dims * elements[header.element].bytes;
  const at = async (first: number, end: number, into?: StoredRows) => {
    const bytes = bytesFor((end - first) * shape.in_dims, header.element, into);
    const begin = header.headerBytes + first * rowBytes;
    await read(begin, bytes);
    return rowsOf(bytes, begin, array, into);
  };
  return { at, pieces: (into) => piecesAt(shape.rows, rowBytes, at, into) };
}

/** Rows have another width than is expected. */
export function otherWidth(file: string, in_dims: number, expected: number): DataError {
  return new DataError(
    `${file} has ${grouped(in_dims)} values a row; expected ${grouped(expected)} (in_dims, the width of the model ` +
      'and of all its data).',
  );
}

/** Compares the header's claims with the file's length, before anything is allocated. */
function checkLength(
  format: string,
  header: ArrayHeader,
  { rows, in_dims }: { readonly rows: number; readonly in_dims: number },
  { bytes, packed }: Pick<RowsFile, 'bytes' | 'packed'>,
  file: string,
  most = Number.POSITIVE_INFINITY,
): void {
  const { element, headerBytes } = header;
  const claimed = headerBytes + rows * in_dims * elements[element].bytes;
  const claim =
    `${file} claims ${grouped(rows)} rows of ${grouped(in_dims)} ${element} values in its ${format} header, ` +
    `so ${grouped(claimed)} bytes`;
  if (packed) {
    if (claimed > packings[packed].expansion * bytes) {
      throw new DataError(
        `${claim}, but its ${grouped(bytes)} bytes of ${packed} cannot hold that. The file is damaged.`,
      );
    }
  } else if (claimed > bytes) {
    throw new DataError(
      `${claim}, but ends at byte ${grouped(bytes)}. The file is truncated or its header is wrong.`,
    );
  } else if (claimed < bytes) {
    throw new DataError(
      `${claim}, but goes on to byte ${grouped(bytes)}. The file is too long or its header is wrong.`,
    );
  }
  if (claimed > most) {
    throw new DataError(`${claim}; at most ${grouped(most)} are accepted here. Use fewer rows.`);
  }
}
