import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import {
  type ArrayHeader,
  concat,
  elements,
  grouped,
  longestHeader,
  type RowFormat,
  type RowShape,
  recognizedBytes,
  rowShape,
} from './formats/array.js';
import { formatNames, rowFormats } from './formats/index.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';
import { Values } from './values.js';

/** How the rows of a file are to be read. */
export interface DecodeOptions {
  /** Expected values per row; any number by default. */
  readonly in_dims?: number | undefined;
  /** By default `mnist` for 8-bit values and `none` for floats. */
  readonly normalize?: NormalizeOption | undefined;
  /** The data set's name in messages; by default the file's name. */
  readonly name?: string;
  /** Most bytes when unpacked: a gzipped file can unpack to a thousand times its length. */
  readonly most_bytes?: number;
}

/** A file of rows. */
export interface RowsFile {
  /** Its name in messages. */
  readonly name: string;
  /** Its length on disk, gzipped or not. */
  readonly bytes: number;
  readonly gzipped: boolean;
}

/** Whether a file is gzipped, by its first two bytes. */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/**
 * Decodes a .npy or IDX file of rows, recognised by its content. All types but u8 become f32, integers as they are.
 * Everything is checked, and nothing is allocated for what a header claims but the file is too short for.
 * @param source its unpacked bytes in pieces.
 * @throws DataError, and whatever `source` throws.
 */
export async function decodeRows(
  source: AsyncIterable<Uint8Array>,
  { name: file, bytes, gzipped }: RowsFile,
  options: DecodeOptions = {},
): Promise<Dataset> {
  let head: Uint8Array = new Uint8Array(0);
  let shape: RowShape | undefined;
  let values: Values | undefined;
  for await (const chunk of source) {
    if (values) {
      values.push(chunk);
      continue;
    }
    head = concat(head, chunk);
    const format = formatOf(head, file, gzipped);
    const header = format?.parseHeader(head, file);
    if (!format || !header) {
      if (head.length > longestHeader) throw endlessHeader(file, format);
      continue;
    }
    shape = rowShape(header, file);
    checkWidth(shape, options.in_dims, file);
    checkLength(format, header, shape, bytes, gzipped, file, options.most_bytes);
    values = new Values(header, shape, file, gzipped);
    values.push(head.subarray(header.headerBytes));
  }
  if (!values || !shape) {
    const format = rowFormats.find((candidate) => candidate.recognizes(head));
    if (!format) throw neither(file, gzipped);
    throw new DataError(
      `${file} ends within its header, after ${head.length} bytes; expected ${format.article} ${format.name} file.`,
    );
  }
  values.end();
  const { rows, in_dims, image_shape } = shape;
  const data = values.rowMajor();
  return {
    name: options.name ?? file,
    rows,
    in_dims,
    data,
    ...(image_shape && { image_shape }),
    normalization: resolveNormalization(options.normalize, data, file),
  };
}

/**
 * Reads such a file, gzipped or not, from a Blob: a dropped, chosen or fetched file.
 * @param name the name of the data set, also in messages.
 * @throws DataError.
 */
export async function decodeDataset(
  blob: Blob,
  name: string,
  options: Omit<DecodeOptions, 'name'> = {},
): Promise<Dataset> {
  const bytes = blob.size;
  if (bytes === 0) {
    throw new DataError(`${name} is empty; expected a ${formatNames} file.`);
  }
  let unpacking = false;
  try {
    const gzipped = isGzip(new Uint8Array(await blob.slice(0, 2).arrayBuffer()));
    unpacking = gzipped;
    const stream = gzipped ? blob.stream().pipeThrough(new DecompressionStream('gzip')) : blob.stream();
    return await decodeRows(pieces(stream), { name, bytes, gzipped }, options);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const { message } = error as Error;
    // A file that cannot be read throws a DOMException, a damaged gzip stream another error.
    const what =
      unpacking && !(error instanceof DOMException)
        ? `is damaged or truncated: its gzip stream cannot be unpacked (${message}). Copy or download it again.`
        : `cannot be read: ${message}`;
    throw new DataError(`${name} ${what}`, { cause: error });
  }
}

async function* pieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The format of a file with that beginning; undefined if more bytes are needed. */
function formatOf(head: Uint8Array, file: string, gzipped: boolean): RowFormat | undefined {
  const format = rowFormats.find((candidate) => candidate.recognizes(head));
  // The first piece of a stream may be shorter than a magic number.
  if (!format && head.length >= recognizedBytes) throw neither(file, gzipped);
  return format;
}

function neither(file: string, gzipped: boolean): DataError {
  const names = rowFormats.map(({ article, name }) => `${article} ${name}`);
  return new DataError(
    `${file} is neither ${names.slice(0, -1).join(', ')} nor ${names.at(-1)} file${gzipped ? ' inside its gzip' : ''}, by its first ` +
      "bytes; expected one of them, gzipped or not (in numpy: np.save('rows.npy', array)).",
  );
}

function endlessHeader(file: string, format: RowFormat | undefined): DataError {
  return new DataError(
    `${file} has ${format ? `${format.article} ${format.name}` : 'a'} header of more than ${grouped(longestHeader)} bytes; expected ` +
      'at most that. The file is damaged.',
  );
}

function checkWidth({ in_dims }: RowShape, expected: number | undefined, file: string): void {
  if (expected !== undefined && in_dims !== expected) {
    throw new DataError(
      `${file} has ${grouped(in_dims)} values a row; expected ${grouped(expected)} (in_dims, the width of the model ` +
        'and of all its data).',
    );
  }
}

/** Compares the header's claims with the file's length, before anything is allocated. */
function checkLength(
  { name: format }: RowFormat,
  header: ArrayHeader,
  shape: RowShape,
  bytes: number,
  gzipped: boolean,
  file: string,
  most = Number.POSITIVE_INFINITY,
): void {
  const { element, headerBytes } = header;
  const claimed = headerBytes + shape.rows * shape.in_dims * elements[element].bytes;
  const claim =
    `${file} claims ${grouped(shape.rows)} rows of ${grouped(shape.in_dims)} ${element} values in its ${format} header, ` +
    `so ${grouped(claimed)} bytes`;
  if (gzipped) {
    // Unpacking makes a deflate stream at most 1032 times as long.
    if (claimed > 1032 * bytes) {
      throw new DataError(
        `${claim}, but its ${grouped(bytes)} gzipped bytes cannot hold that. The file is damaged.`,
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
