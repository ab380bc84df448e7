import type { Dataset } from '../dataset.js';
import { DataError } from '../errors.js';
import {
  type ArrayHeader,
  concat,
  elementBytes,
  grouped,
  type RowShape,
  rowShape,
  viewOf,
} from './header.js';
import { isIdx, parseIdxHeader } from './idx.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';
import { isNpy, parseNpyHeader } from './npy.js';

export interface DecodeOptions {
  /** Values a row that are expected; any where it is not given. */
  readonly in_dims?: number | undefined;
  /** Where it is not given: `mnist` for 8-bit values, `none` for floats. */
  readonly normalize?: NormalizeOption | undefined;
  /** What messages call the data set; the file's name where it is not given. */
  readonly name?: string;
}

/** A file that rows are decoded from. */
export interface RowsFile {
  /** What messages call it. */
  readonly name: string;
  /** Its length, gzipped as it may be. */
  readonly bytes: number;
  readonly gzipped: boolean;
}

/** Whether a file is gzipped, by its first two bytes. */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/**
 * Decodes a .npy or IDX file of u8, f32 or f64 rows, told by its content. f64 becomes f32. Everything is checked before
 * it is believed, and nothing is allocated for what a header claims but the file cannot hold.
 * @param source its bytes in pieces, unpacked.
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
    const header = parseHeader(head, file, gzipped);
    if (!header) continue;
    shape = rowShape(header, file);
    checkWidth(shape, options.in_dims, file);
    checkLength(header, shape, bytes, gzipped, file);
    values = new Values(header, shape, file, gzipped);
    values.push(head.subarray(header.headerBytes));
  }
  if (!values || !shape) {
    const what = isNpy(head) ? 'a .npy' : isIdx(head) ? 'an IDX' : undefined;
    if (!what) throw neither(file, gzipped);
    throw new DataError(`${file} ends within its header, after ${head.length} bytes; expected ${what} file.`);
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
 * Reads such a file, gzipped or not, as a page gets it: dropped, chosen or fetched.
 * @param name what messages and the data set are called.
 * @throws DataError.
 */
export async function decodeDataset(
  blob: Blob,
  name: string,
  options: Omit<DecodeOptions, 'name'> = {},
): Promise<Dataset> {
  const bytes = blob.size;
  if (bytes === 0) {
    throw new DataError(`${name} is empty; expected a .npy or IDX file.`);
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
    // A file that cannot be read fails with a DOMException, a gzip stream that cannot be unpacked with another error.
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

function parseHeader(head: Uint8Array, file: string, gzipped: boolean): ArrayHeader | undefined {
  if (isNpy(head)) return parseNpyHeader(head, file);
  if (isIdx(head)) return parseIdxHeader(head, file);
  // A stream may begin with less than a magic number.
  if (head.length < 6) return undefined;
  throw neither(file, gzipped);
}

function neither(file: string, gzipped: boolean): DataError {
  return new DataError(
    `${file} is neither a .npy nor an IDX file${gzipped ? ' inside its gzip' : ''}, by its first bytes; expected one of ` +
      "them, gzipped or not (in numpy: np.save('rows.npy', array)).",
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

/** Compares what the header claims with what the file has, before anything is allocated. */
function checkLength(
  header: ArrayHeader,
  shape: RowShape,
  bytes: number,
  gzipped: boolean,
  file: string,
): void {
  const { format, element, headerBytes } = header;
  const claimed = headerBytes + shape.rows * shape.in_dims * elementBytes[element];
  const claim =
    `${file} claims ${grouped(shape.rows)} rows of ${grouped(shape.in_dims)} ${element} values in its ${format} header, ` +
    `so ${grouped(claimed)} bytes`;
  if (gzipped) {
    // No deflate stream grows to more than 1032 times its length.
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
}

/** Takes a file's values as they arrive, checks each and keeps them as u8 or f32, in the file's order. */
class Values {
  private readonly data: Uint8Array | Float32Array;
  private readonly claimed: number;
  private received = 0;
  /** Bytes of a value of which the rest is still to come. */
  private rest: Uint8Array = new Uint8Array(0);
  private readonly place: string;

  constructor(
    private readonly header: ArrayHeader,
    private readonly shape: RowShape,
    private readonly file: string,
    gzipped: boolean,
  ) {
    const count = shape.rows * shape.in_dims;
    this.claimed = count * elementBytes[header.element];
    this.place = gzipped ? ' of the unpacked data' : '';
    try {
      this.data = header.element === 'u8' ? new Uint8Array(count) : new Float32Array(count);
    } catch (error) {
      throw new DataError(
        `${file} holds ${grouped(count)} values, more than fit into this machine's memory. Use fewer rows.`,
        { cause: error },
      );
    }
  }

  push(chunk: Uint8Array): void {
    const { headerBytes, element } = this.header;
    if (this.received + chunk.length > this.claimed) {
      throw new DataError(
        `${this.file} goes on after byte ${grouped(headerBytes + this.claimed)}${this.place}, where its header says that ` +
          `its ${grouped(this.shape.rows)} rows end. The file is too long or its header is wrong.`,
      );
    }
    if (element === 'u8') this.data.set(chunk, this.received);
    else this.pushFloats(chunk, elementBytes[element]);
    this.received += chunk.length;
  }

  private pushFloats(chunk: Uint8Array, size: 4 | 8): void {
    const bytes = this.rest.length > 0 ? concat(this.rest, chunk) : chunk;
    const first = (this.received - this.rest.length) / size;
    const count = Math.floor(bytes.length / size);
    const view = viewOf(bytes);
    const { littleEndian } = this.header;
    const { data } = this;
    for (let i = 0; i < count; i++) {
      const value = size === 4 ? view.getFloat32(4 * i, littleEndian) : view.getFloat64(8 * i, littleEndian);
      data[first + i] = value;
      if (!Number.isFinite(data[first + i])) throw this.notFinite(first + i, value);
    }
    this.rest = bytes.subarray(count * size);
  }

  private notFinite(index: number, value: number): DataError {
    const { header, shape, file } = this;
    const [row, column] = header.fortranOrder
      ? [index % shape.rows, this.fortranColumn(Math.floor(index / shape.rows))]
      : [Math.floor(index / shape.in_dims), index % shape.in_dims];
    const byte = header.headerBytes + index * elementBytes[header.element];
    const what = Number.isFinite(value) ? `${value}, which is beyond the range of f32,` : String(value);
    return new DataError(
      `${file} has ${what} at row ${row}, column ${column} (both from 0; byte ${grouped(byte)}${this.place}); ` +
        'expected finite numbers. Replace it or leave the row out.',
    );
  }

  end(): void {
    if (this.received === this.claimed) return;
    const { headerBytes } = this.header;
    throw new DataError(
      `${this.file} ends at byte ${grouped(headerBytes + this.received)}${this.place}, where its header claims ` +
        `${grouped(headerBytes + this.claimed)}. The file is truncated or its header is wrong.`,
    );
  }

  /** In Fortran's order a row's values are `rows` apart, an image's columns one after the other. */
  private fortranColumn(index: number): number {
    const [height, width] = this.shape.image_shape ?? [this.shape.in_dims, 1];
    return (index % height) * width + Math.floor(index / height);
  }

  /** [rows, in_dims]. */
  rowMajor(): Uint8Array | Float32Array {
    const { rows, in_dims } = this.shape;
    if (!this.header.fortranOrder) return this.data;
    const out =
      this.data instanceof Uint8Array ? new Uint8Array(rows * in_dims) : new Float32Array(rows * in_dims);
    for (let i = 0; i < in_dims; i++) {
      const column = this.fortranColumn(i);
      for (let row = 0; row < rows; row++) out[row * in_dims + column] = this.data[i * rows + row];
    }
    return out;
  }
}
