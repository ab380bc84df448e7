import { DataError } from '../errors.js';
import { type ArrayHeader, type Element, elements, grouped, product, viewOf } from './formats/array.js';
import { inPieces, type OpenOptions, rowsAtATime } from './formats/file.js';
import type { RowShape } from './formats/shape.js';
import type { StoredRows } from './rows.js';

/** An array of rows in a file: where its values are, and what they are called in messages. */
export interface ArrayRows {
  readonly header: ArrayHeader;
  readonly shape: RowShape;
  /** The array's name in messages. */
  readonly file: string;
  /** In what bytes are counted, where it is not the file: ` of the unpacked data`. */
  readonly within: string;
  /** As of `OpenOptions`. */
  readonly nonfinite?: OpenOptions['nonfinite'];
  /** The byte of the value that is the index-th of all in rows, where that is not what the header says. */
  readonly byteOf?: (index: number) => number;
}

const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** All half floats, by their bits. */
let halves: Float32Array | undefined;

/** Values as u8 or f32, from their bytes: where these are such values already, a view of them. @param into as of `rowsOf`. */
function decoded(bytes: Uint8Array, { element, littleEndian }: ArrayHeader, into?: StoredRows): StoredRows {
  if (element === 'u8') return bytes;
  const { bytes: size, read } = elements[element];
  const count = bytes.length / size;
  const asIs = littleEndian === littleEndianHost && bytes.byteOffset % size === 0;
  if (asIs && element === 'f32') return new Float32Array(bytes.buffer, bytes.byteOffset, count);
  const values = into instanceof Float32Array ? into : new Float32Array(count);
  const view = viewOf(bytes);
  if (asIs && element === 'f16') {
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    halves ??= allHalves();
    for (let i = 0; i < count; i++) values[i] = halves[bits[i]];
  } else if (asIs && element === 'bf16') {
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    const words = new Uint32Array(values.buffer, values.byteOffset, count);
    for (let i = 0; i < count; i++) words[i] = bits[i] << 16;
  } else {
    for (let i = 0; i < count; i++) values[i] = read(view, size * i, littleEndian);
  }
  return values;
}

function allHalves(): Float32Array {
  const view = new DataView(new ArrayBuffer(2));
  return Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
    view.setUint16(0, bits);
    return elements.f16.read(view, 0, false);
  });
}

/** The place of the first value that is not finite, or -1. */
export function notFinite(values: StoredRows): number {
  if (values instanceof Uint8Array) return -1;
  // 0 times anything finite is 0. Four sums do not wait for each other.
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i] * 0;
    b += values[i + 1] * 0;
    c += values[i + 2] * 0;
    d += values[i + 3] * 0;
  }
  for (let i = whole; i < values.length; i++) a += values[i] * 0;
  return a + b + c + d === 0 ? -1 : values.findIndex((value) => !Number.isFinite(value));
}

/**
 * Memory for so many bytes of values of that type: the end of the memory that the values will be in, as long as they are not wider there.
 * As they are made from the first one on, none overwrites what is still to be read.
 */
export function bytesFor(count: number, element: Element, into?: StoredRows): Uint8Array<ArrayBuffer> {
  const bytes = count * elements[element].bytes;
  if (!into || bytes > into.byteLength) return new Uint8Array(bytes);
  return new Uint8Array(into.buffer as ArrayBuffer, into.byteOffset + into.byteLength - bytes, bytes);
}

/**
 * Rows from their bytes, which begin at byte `begin`: [rows, in_dims].
 * @param into memory of as many values, which may be used; `bytes` may be those of `bytesFor`.
 * @throws DataError if a value is not finite.
 */
export function rowsOf(
  bytes: Uint8Array,
  begin: number,
  { header, shape, file, within, nonfinite, byteOf }: ArrayRows,
  into?: StoredRows,
): StoredRows {
  const values = decoded(bytes, header, into);
  const wrong = nonfinite === 'keep' ? -1 : notFinite(values);
  if (wrong < 0) return values;
  const { element, headerBytes, littleEndian, fortranOrder } = header;
  const { bytes: size, read } = elements[element];
  const index = (begin - headerBytes) / size + wrong;
  const place = fortranOrder ? rowMajorPlace(index, header.shape) : index;
  const [row, column] = [Math.floor(place / shape.in_dims), place % shape.in_dims];
  const byte = byteOf ? byteOf(index) : begin + wrong * size;
  // Only f64 may be finite and beyond f32, and their bytes are not overwritten.
  const value = element === 'f64' ? read(viewOf(bytes), wrong * size, littleEndian) : values[wrong];
  const what = Number.isFinite(value) ? `${value}, which is beyond the range of f32,` : String(value);
  throw new DataError(
    `${file} has ${what} at row ${row}, column ${column} (both from 0; byte ${grouped(byte)}${within}); ` +
      'expected finite numbers. Replace it or leave the row out.',
  );
}

/**
 * Rows from a stream of their bytes, in pieces of whole rows; all in one piece if they lie in Fortran's order.
 * @throws DataError if there are fewer or more bytes than the header claims, or a value is not finite.
 */
export async function* streamedRows(
  chunks: AsyncIterable<Uint8Array>,
  array: ArrayRows,
): AsyncGenerator<StoredRows> {
  const { header, shape, file, within } = array;
  const { headerBytes, element, fortranOrder } = header;
  const rowBytes = shape.in_dims * elements[element].bytes;
  const claimed = shape.rows * rowBytes;
  const most = fortranOrder ? claimed : rowsAtATime(rowBytes) * rowBytes;
  const checked = async function* () {
    let received = 0;
    for await (const chunk of chunks) {
      received += chunk.length;
      if (received > claimed) {
        throw new DataError(
          `${file} goes on after byte ${grouped(headerBytes + claimed)}${within}, where its header says that ` +
            `its ${grouped(shape.rows)} rows end. The file is too long or its header is wrong.`,
        );
      }
      yield chunk;
    }
    if (received < claimed) {
      throw new DataError(
        `${file} ends at byte ${grouped(headerBytes + received)}${within}, where its header claims ` +
          `${grouped(headerBytes + claimed)}. The file is truncated or its header is wrong.`,
      );
    }
  };
  let done = 0;
  const pieces = inPieces(checked(), Math.min(most, claimed), (bytes) => allocate(bytes, array));
  for await (const piece of pieces) {
    const values = rowsOf(piece, headerBytes + done, array);
    yield fortranOrder ? rowMajor(values, header.shape) : values;
    done += piece.length;
  }
}

function allocate(bytes: number, { file }: ArrayRows): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new DataError(
      `${file} has ${grouped(bytes)} bytes in Fortran's order, which do not fit into this machine's memory at once. Save it ` +
        'in the order of C (numpy.ascontiguousarray).',
      { cause: error },
    );
  }
}

/** Where a value that is the index-th in Fortran's order is in the order in which the last index runs fastest. */
function rowMajorPlace(index: number, shape: readonly number[]): number {
  let rest = index;
  let place = 0;
  for (const [k, side] of shape.entries()) {
    place += (rest % side) * product(shape.slice(k + 1));
    rest = Math.floor(rest / side);
  }
  return place;
}

/** Values in Fortran's order, in the order in which the last index runs fastest. */
function rowMajor(data: StoredRows, shape: readonly number[]): StoredRows {
  const strides = shape.map((_, k) => product(shape.slice(k + 1)));
  const out = data instanceof Uint8Array ? new Uint8Array(data.length) : new Float32Array(data.length);
  const index = shape.map(() => 0);
  let place = 0;
  for (let i = 0; i < data.length; i++) {
    out[place] = data[i];
    for (let k = 0; k < shape.length; k++) {
      index[k]++;
      place += strides[k];
      if (index[k] < shape[k]) break;
      place -= strides[k] * shape[k];
      index[k] = 0;
    }
  }
  return out;
}
