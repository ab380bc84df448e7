import { ConfigError, DataError } from '../../sae/errors.js';
import type { Dataset, Normalization } from '../../sae/rows/dataset.js';
import {
  type ArrayHeader,
  concat,
  type Element,
  elements,
  grouped,
  longestHeader,
} from '../../sae/rows/formats/array.js';
import { otherWidth } from '../../sae/rows/formats/headed.js';
import { npy } from '../../sae/rows/formats/npy.js';
import { elementOf } from '../../sae/rows/formats/raw.js';
import { rowShape, type ShapeOptions } from '../../sae/rows/formats/shape.js';
import { concatenated } from '../../sae/rows/joined.js';
import { fixedNormalization } from '../../sae/rows/normalize.js';
import type { RowSource, StoredRows } from '../../sae/rows/source.js';
import { type ArrayRows, rowsOf } from '../../sae/rows/values.js';

/** Rows that another program writes: each can be read once, in order. */
export interface PipedRows {
  readonly rows: RowSource;
  /** The first ones, which are kept: what a model starts from, and what can be drawn. */
  readonly first: Dataset;
}

/** The first rows of a pipe that are kept, at most. */
const keptRows = 8192;
const name = 'standard input';

/** What comes through a pipe. */
export interface PipeOptions extends ShapeOptions {
  readonly normalize?: Normalization | undefined;
  /** The type of values without a header, of which `in_dims` are a row; by default there is a header. */
  readonly rows_type?: Element | undefined;
  /** Rows without a header that are read, at most. */
  readonly raw_rows?: number | undefined;
}

/**
 * Reads rows as they come: a .npy file, whose header says how many there are, or values without a header.
 * @param stream of bytes.
 * @throws DataError if it is no such file, or ends within the rows that are kept.
 */
export async function pipedRows(
  stream: AsyncIterable<Uint8Array>,
  options: PipeOptions = {},
): Promise<PipedRows> {
  const bytes = new Bytes(stream);
  const header = options.rows_type === undefined ? await readHeader(bytes) : rawHeader(options);
  const { note: _, ...shape } = rowShape(header, name, options);
  if (options.in_dims !== undefined && shape.in_dims !== options.in_dims) {
    throw otherWidth(name, shape.in_dims, options.in_dims);
  }
  if (header.fortranOrder) {
    throw new DataError(
      `The rows on ${name} are in Fortran's order, in which the first row ends with the last value of all. Write ` +
        'numpy.ascontiguousarray(rows).',
    );
  }
  const normalization = fixedNormalization(options.normalize, header.element === 'u8' ? 'u8' : 'f32');
  return source(bytes, { header, shape, file: name, within: '' }, normalization);
}

/** @throws ConfigError if what a header would say is not said. */
function rawHeader({ rows_type, in_dims, raw_rows }: PipeOptions): ArrayHeader {
  if (in_dims === undefined || raw_rows === undefined) {
    throw new ConfigError(
      `Raw values on ${name} do not say how many a row has, nor how many rows come. Name both with in_dims and steps, such as ` +
        '--in_dims 768 --steps 10000.',
    );
  }
  const shape = [raw_rows, in_dims];
  return { element: elementOf(rows_type), littleEndian: true, fortranOrder: false, shape, headerBytes: 0 };
}

async function readHeader(bytes: Bytes): Promise<ArrayHeader> {
  for (let length = 128; ; length *= 2) {
    const head = await bytes.peek(length);
    if (!npy.recognizes(head)) break;
    const header = npy.parseHeader(head, name);
    if (header) {
      await bytes.take(header.headerBytes);
      return header;
    }
    if (head.length < length || length > longestHeader) break;
  }
  throw new DataError(
    `What comes on ${name} does not begin as a .npy file; expected one (numpy.save(sys.stdout.buffer, rows), or its header and ` +
      'then the values), or rows_type for values without a header.',
  );
}

async function source(
  bytes: Bytes,
  array: ArrayRows,
  normalization: RowSource['normalization'],
): Promise<PipedRows> {
  const { header, shape } = array;
  const { rows, in_dims, image_shape } = shape;
  const rowBytes = in_dims * elements[header.element].bytes;
  const take = async (first: number, end: number): Promise<StoredRows> => {
    const values = await bytes.take((end - first) * rowBytes);
    const begin = header.headerBytes + first * rowBytes;
    if (values.length < (end - first) * rowBytes) {
      const [whole, part] = [Math.floor(values.length / rowBytes), values.length % rowBytes];
      throw new DataError(
        `${name} ended at byte ${grouped(begin + values.length)}, after ${grouped(first + whole)} rows` +
          `${part > 0 ? ' and a part of another' : ''}; expected ${grouped(rows)}, as ${header.headerBytes > 0 ? 'its header says' : 'the steps need'}.`,
      );
    }
    return rowsOf(values, begin, array);
  };
  const kept = await take(0, Math.min(rows, keptRows));
  const keptCount = kept.length / in_dims;
  let next = 0;
  // Rows are asked for again after a failure, but do not come again.
  let failure: unknown;
  /** Reads take turns. */
  let last: Promise<unknown> = Promise.resolve();
  const read = async (first: number, end: number): Promise<StoredRows> => {
    if (failure) throw failure;
    if (first !== next) {
      throw new DataError(
        `Rows ${first} to ${end - 1} of ${name} cannot be read: each comes once, and row ${next} is the next one. Write the rows ` +
          'into a file to use them again.',
      );
    }
    next = end;
    const before = kept.subarray(first * in_dims, Math.min(end, keptCount) * in_dims);
    if (end <= keptCount) return before;
    try {
      const after = await take(Math.max(first, keptCount), end);
      return first >= keptCount ? after : concatenated([before, after]);
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  const described = { name, rows, in_dims, normalization, ...(image_shape && { image_shape }) };
  return {
    first: { ...described, rows: keptCount, data: kept },
    rows: {
      ...described,
      type: header.element === 'u8' ? 'u8' : 'f32',
      once: true,
      read(first, end) {
        const values = last.then(() => read(first, end));
        last = values.catch(() => {});
        return values;
      },
    },
  };
}

function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new DataError(
      `${grouped(bytes)} bytes of rows on ${name} are more than fit into this machine's memory at once; expected rows of fewer values.`,
      { cause: error },
    );
  }
}

/** A stream of bytes, of which any number can be taken at a time. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** The next bytes, which stay: fewer if there are no more. */
  async peek(count: number): Promise<Uint8Array> {
    while (this.#left.length < count) {
      const { value, done } = await this.#chunks.next();
      if (done) break;
      this.#left = concat(this.#left, value);
    }
    return this.#left.subarray(0, count);
  }

  /** The next bytes, in memory of their own: fewer if there are no more. */
  async take(count: number): Promise<Uint8Array> {
    const taken = allocate(count);
    let filled = 0;
    for (;;) {
      const part = this.#left.subarray(0, count - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#left = this.#left.subarray(part.length);
      if (filled === count) return taken;
      const { value, done } = await this.#chunks.next();
      if (done) return taken.subarray(0, filled);
      this.#left = value;
    }
  }
}
