import { open, type Stats, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ConfigError, DataError } from '../../sae/errors.js';
import type { Dataset, Normalization } from '../../sae/rows/dataset.js';
import type { RowFiles } from '../../sae/rows/decode.js';
import {
  type ArrayHeader,
  concat,
  counted,
  type Element,
  elements,
  grouped,
  longestHeader,
} from '../../sae/rows/formats/array.js';
import { type OpenOptions, piecesAt } from '../../sae/rows/formats/file.js';
import { otherWidth } from '../../sae/rows/formats/headed.js';
import { npy } from '../../sae/rows/formats/npy.js';
import { elementOf } from '../../sae/rows/formats/raw.js';
import { rowShape, type ShapeOptions } from '../../sae/rows/formats/shape.js';
import { concatenated } from '../../sae/rows/joined.js';
import { fixedNormalization } from '../../sae/rows/normalize.js';
import { type RowSource, type StoredRows, valueBytes } from '../../sae/rows/source.js';
import { type ArrayRows, rowsOf } from '../../sae/rows/values.js';

/** What stands for standard input among files. */
export const standardInput = '-';
/** What the system calls it. */
const descriptors = ['/dev/stdin', '/dev/fd/0', '/proc/self/fd/0'];

/** Whether rows come from there once only: from standard input, or a pipe that has a name, as a shell's `<(...)` has. */
export function isPipe(path: string): boolean {
  const status = statusOf(path);
  return path === standardInput || status?.isFIFO() === true || (isStdin(path) && status?.isFile() === false);
}

function isStdin(path: string): boolean {
  return path === standardInput || descriptors.includes(path);
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** A pipe that was opened. */
export interface Pipe {
  /** Its name in messages. */
  readonly name: string;
  readonly stream: AsyncIterable<Uint8Array> & { destroy(): void };
}

const opened = new Set<Pipe['stream']>();

/** Opens what `isPipe`, until `closePipes`. */
export async function openPipe(path: string): Promise<Pipe> {
  const stdin = isStdin(path);
  // Unlike a stream of a file, it is closed at once while it waits for more.
  const stream = stdin
    ? process.stdin
    : new Socket({ fd: await promisify(open)(path, 'r'), writable: false });
  opened.add(stream);
  return { name: stdin ? 'standard input' : path, stream };
}

/** Closes them: one that stays open at its other end would keep the process. */
export function closePipes(): void {
  for (const stream of opened) stream.destroy();
  opened.clear();
}

/** Rows that another program writes: each can be read once, in order. */
export interface PipedRows {
  readonly rows: RowSource;
  /** What they are in the pipe. */
  readonly element: Element;
  /** The first ones, which are kept: what a model starts from, and what can be drawn. */
  readonly first: Dataset;
}

/** The first rows of a pipe that are kept, at most. */
const keptRows = 8192;
/** Milliseconds for which something after the last row is waited for: a pipe may stay open. */
const surplusTimeout = 1000;

/** What comes through a pipe. */
export interface PipeOptions extends ShapeOptions {
  readonly normalize?: Normalization | undefined;
  /** The type of values without a header, of which `in_dims` are a row; by default there is a header. */
  readonly rows_type?: Element | undefined;
  /** Rows without a header that are read, at most. */
  readonly raw_rows?: number | undefined;
  /** As of `OpenOptions`. */
  readonly nonfinite?: OpenOptions['nonfinite'];
  /** Refused: what comes is one array. */
  readonly tensor?: OpenOptions['tensor'];
}

/**
 * Reads rows as they come: a .npy file, whose header says how many there are, or values without a header.
 * @param pipe a stream of bytes, and its name in messages.
 * @throws DataError if it is no such file, or ends within the rows that are kept.
 */
export async function pipedRows(
  { stream, name }: { readonly stream: AsyncIterable<Uint8Array>; readonly name: string },
  options: PipeOptions = {},
): Promise<PipedRows> {
  const { tensor } = options;
  if (tensor !== undefined) {
    throw new ConfigError(`tensor names an array of a file, and ${name} has one. Leave ${tensor} out.`);
  }
  const bytes = new Bytes(stream, name);
  const header = options.rows_type === undefined ? await readHeader(bytes, name) : rawHeader(options, name);
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
  const { nonfinite } = options;
  return source(bytes, { header, shape, file: name, within: '', nonfinite }, normalization);
}

/**
 * Rows of a pipe as those of a file, which can be read once.
 * @param paths one pipe, and nothing beside it.
 * @throws as `pipedRows`; ConfigError.
 */
export async function pipedFile(
  paths: readonly string[],
  options: PipeOptions,
): Promise<Pick<RowFiles, 'files' | 'rows' | 'in_dims' | 'type' | 'image_shape'>> {
  const pipe = await openPipe(onlyPipe(paths));
  const { rows: source, element } = await pipedRows(pipe, options);
  const { rows, in_dims, type, image_shape } = source;
  const pieces = () =>
    piecesAt(rows, in_dims * valueBytes[type], async (first, end) => source.read(first, end));
  const file = { file: pipe.name, format: npy.name, packed: undefined, element, rows, pieces };
  return { files: [file], rows, in_dims, type, image_shape };
}

/** The pipe, beside which nothing may be named. @throws ConfigError. */
export function onlyPipe(paths: readonly string[]): string {
  if (paths.length > 1) {
    throw new ConfigError(
      `Rows from standard input (-) or another pipe are all rows there are, and here ${paths.join(', ')} are named. Name the pipe alone.`,
    );
  }
  return paths[0];
}

/** @throws ConfigError if what a header would say is not said. */
function rawHeader({ rows_type, in_dims, raw_rows }: PipeOptions, name: string): ArrayHeader {
  if (in_dims === undefined || raw_rows === undefined) {
    throw new ConfigError(
      `Raw values on ${name} do not say how many a row has, nor how many rows come. Write a .npy header before them or, to train on ` +
        'them, name both with in_dims and steps, such as --in_dims 768 --steps 10000.',
    );
  }
  const shape = [raw_rows, in_dims];
  return { element: elementOf(rows_type), littleEndian: true, fortranOrder: false, shape, headerBytes: 0 };
}

async function readHeader(bytes: Bytes, name: string): Promise<ArrayHeader> {
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
  const { header, shape, file: name } = array;
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
    if (end === rows && header.headerBytes > 0 && (await bytes.hasMore())) {
      const after = begin + values.length;
      throw new DataError(
        `${name} goes on after byte ${grouped(after)}, where its ${counted(rows, 'row')} end; expected nothing more, as its header says.`,
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
    element: header.element,
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

function allocate(bytes: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new DataError(
      `${grouped(bytes)} bytes of rows on ${name} are more than fit into this machine's memory at once; expected rows of fewer values.`,
      { cause: error },
    );
  }
}

/** Bytes for which there is room before they come, at most. */
const startBytes = 2 ** 24;

/** A stream of bytes, of which any number can be taken at a time. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(
    stream: AsyncIterable<Uint8Array>,
    private readonly name: string,
  ) {
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

  /** Whether there is another byte, or one comes soon. */
  async hasMore(): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(surplusTimeout, false, { signal: timer.signal }).catch(() => false);
    const found = await Promise.race([this.peek(1).then(({ length }) => length > 0), late]);
    timer.abort();
    return found;
  }

  /** The next bytes, in memory of their own: fewer if there are no more. */
  async take(count: number): Promise<Uint8Array> {
    // A header may claim more than ever comes.
    let taken = allocate(Math.min(count, startBytes), this.name);
    let filled = 0;
    for (;;) {
      const part = this.#left.subarray(0, count - filled);
      if (filled + part.length > taken.length) {
        const before = taken.subarray(0, filled);
        taken = allocate(Math.min(count, Math.max(2 * taken.length, filled + part.length)), this.name);
        taken.set(before);
      }
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
