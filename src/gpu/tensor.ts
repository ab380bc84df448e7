import type { Device } from './device.js';
import { typeOf } from './shown.js';

/** Rounded up to a multiple of 4: rows and columns of a matrix are padded to that on the device. */
export function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** Bytes that an f32 tensor of this shape takes on the device. */
export function tensorBytes(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * padded(length), 4);
}

/**
 * Pads each row of `columns` values with zeros to the padded length; returns the same array if no padding is needed.
 */
export function padRows<T extends Float32Array | Uint8Array>(values: T, columns: number): T {
  const stride = padded(columns);
  if (columns === stride) {
    return values;
  }
  const rows = values.length / columns;
  const out = values instanceof Uint8Array ? new Uint8Array(rows * stride) : new Float32Array(rows * stride);
  putPadded(values, columns, out);
  return out as T;
}

/** Puts rows of `columns` values into memory of the same type, each padded with zeros to the padded length. */
export function putPadded(
  values: Float32Array | Uint8Array,
  columns: number,
  out: Float32Array | Uint8Array,
): void {
  const stride = padded(columns);
  if (columns === stride) {
    out.set(values);
    return;
  }
  for (let from = 0, to = 0; from < values.length; from += columns, to += stride) {
    out.set(values.subarray(from, from + columns), to);
    out.fill(0, to + columns, to + stride);
  }
}

/**
 * An f32 vector or row-major matrix on the device. Every dimension is padded to a multiple of 4 there, so that kernels
 * read whole vec4s and 4x4 blocks; the padding is always zeros. On the host there is no padding.
 */
export class Tensor {
  readonly buffer: GPUBuffer;

  /**
   * Creates a tensor of zeros.
   * @throws LimitError if it is larger than the adapter can bind.
   */
  constructor(
    readonly gpu: Device,
    readonly name: string,
    readonly shape: readonly number[],
  ) {
    this.buffer = gpu.buffer(`The tensor ${name} [${shape.join(', ')}]`, tensorBytes(shape));
  }

  /** Rows of a matrix; 1 for a vector. */
  get rows(): number {
    return this.shape.length === 1 ? 1 : this.shape[0];
  }

  /** Columns of a matrix; values of a vector. Without padding. */
  get columns(): number {
    return this.shape[this.shape.length - 1];
  }

  /**
   * Writes the first `rows` rows: values [rows, columns], without padding.
   * @throws RangeError if the number of values is wrong, TypeError if they are no f32 array; ClosedError if the tensor
   *   was freed.
   */
  write(values: Float32Array<ArrayBuffer>, rows: number = this.rows): void {
    if (!(values instanceof Float32Array)) {
      throw new TypeError(
        `The values of the tensor ${this.name} are of type ${typeOf(values)}; expected a Float32Array. Float32Array.from(values, ` +
          'Number) makes one.',
      );
    }
    if (values.length !== rows * this.columns || !Number.isInteger(rows) || rows > this.rows) {
      throw new RangeError(
        `${values.length} values are not ${rows} rows of the tensor ${this.name} [${this.shape.join(', ')}]`,
      );
    }
    this.gpu.write(this.buffer, padRows(values, this.columns));
  }

  /**
   * Reads the first `rows` rows, [rows, columns], without padding.
   * @throws RangeError if there are no such rows; ClosedError if the tensor was freed.
   */
  async read(rows: number = this.rows): Promise<Float32Array<ArrayBuffer>> {
    const { columns } = this;
    if (!Number.isInteger(rows) || rows < 1 || rows > this.rows) {
      throw new RangeError(
        `${rows} rows cannot be read of the tensor ${this.name} [${this.shape.join(', ')}]`,
      );
    }
    const stride = padded(columns);
    const values = new Float32Array(await this.gpu.read(this.buffer, rows * stride * 4));
    if (stride === columns) {
      return values;
    }
    const out = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      out.set(values.subarray(row * stride, row * stride + columns), row * columns);
    }
    return out;
  }

  /** Frees the buffer. */
  destroy(): void {
    this.gpu.free(this.buffer);
  }
}
