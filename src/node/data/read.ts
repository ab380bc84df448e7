import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { Dataset } from '../../sae/dataset.js';
import { DataError } from '../../sae/errors.js';
import { describeFileError, openDataFile } from './files.js';
import { type ArrayHeader, elementBytes, grouped, type RowShape, rowShape } from './header.js';
import { isIdx, parseIdxHeader } from './idx.js';
import { type NormalizeOption, resolveNormalization } from './normalize.js';
import { isNpy, parseNpyHeader } from './npy.js';

export interface ReadOptions {
  /** Values a row that are expected; any where it is not given. */
  readonly in_dims?: number | undefined;
  /** Where it is not given: `mnist` for 8-bit values, `none` for floats. */
  readonly normalize?: NormalizeOption | undefined;
  /** What messages call the data set; the file's name where it is not given. */
  readonly name?: string;
}

/**
 * Reads a .npy or IDX file of u8, f32 or f64 rows, gzipped or not, told by its content and not by its name. f64 becomes
 * f32. Everything is checked before it is believed, and nothing is allocated for what a header claims but the file
 * cannot hold. Throws DataError.
 */
export async function readDataset(file: string, options: ReadOptions = {}): Promise<Dataset> {
  const { bytes, start } = await openDataFile(file);
  const gzipped = start[0] === 0x1f && start[1] === 0x8b;
  let header: ArrayHeader | undefined;
  let shape: RowShape | undefined;
  let values: Values | undefined;

  const consume = async (source: AsyncIterable<Buffer>) => {
    let head: Buffer = Buffer.alloc(0);
    for await (const chunk of source) {
      if (values) {
        values.push(chunk);
        continue;
      }
      head = Buffer.concat([head, chunk]);
      header = parseHeader(head, file, gzipped);
      if (!header) continue;
      shape = rowShape(header, file);
      checkWidth(shape, options.in_dims, file);
      checkLength(header, shape, bytes, gzipped, file);
      values = new Values(header, shape, file, gzipped);
      values.push(head.subarray(header.headerBytes));
    }
    if (!values) {
      const what = isNpy(head) ? 'a .npy' : isIdx(head) ? 'an IDX' : undefined;
      if (!what) throw neither(file, gzipped);
      throw new DataError(
        `${file} ends within its header, after ${head.length} bytes; expected ${what} file.`,
      );
    }
    values.end();
  };

  try {
    await consume(gzipped ? unpacked(file) : stored(file));
  } catch (error) {
    throw error instanceof DataError ? error : readError(error, file);
  }

  const { rows, in_dims, image_shape } = shape!;
  const data = values!.rowMajor();
  return {
    name: options.name ?? basename(file),
    rows,
    in_dims,
    data,
    ...(image_shape && { image_shape }),
    normalization: resolveNormalization(options.normalize, data, file),
  };
}

const pieceBytes = 1 << 20;

function stored(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: pieceBytes });
}

async function* unpacked(file: string): AsyncGenerator<Buffer> {
  const input = createReadStream(file, { highWaterMark: pieceBytes });
  const gunzip = createGunzip({ chunkSize: pieceBytes });
  input.on('error', (error) => gunzip.destroy(error));
  try {
    yield* input.pipe(gunzip);
  } finally {
    input.destroy();
  }
}

function parseHeader(head: Buffer, file: string, gzipped: boolean): ArrayHeader | undefined {
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

function readError(error: unknown, file: string): DataError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'Z_BUF_ERROR') {
    return new DataError(
      `${file} is truncated: its gzip stream stops before its end. Copy or download it again.`,
      {
        cause: error,
      },
    );
  }
  if (code?.startsWith('Z_')) {
    const why = (error as Error).message;
    return new DataError(
      `${file} is damaged: its gzip stream cannot be unpacked (${why}). Copy or download it again.`,
      {
        cause: error,
      },
    );
  }
  return new DataError(`${file} cannot be read: ${describeFileError(error)}.`, { cause: error });
}

/** Takes a file's values as they arrive, checks each and keeps them as u8 or f32, in the file's order. */
class Values {
  private readonly data: Uint8Array | Float32Array;
  private readonly claimed: number;
  private received = 0;
  /** Bytes of a value of which the rest is still to come. */
  private rest: Buffer = Buffer.alloc(0);
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

  push(chunk: Buffer): void {
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

  private pushFloats(chunk: Buffer, size: 4 | 8): void {
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    const first = (this.received - this.rest.length) / size;
    const count = Math.floor(bytes.length / size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
