import type { Gpu } from './gpu.js';

/** Rounded up to a multiple of 4, which is what rows and columns of a matrix are padded to on the device. */
export function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** Bytes that an f32 tensor of this shape takes on the device. */
export function tensorBytes(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * padded(length), 4);
}

/** Rows of `columns` values with zeros after each, up to the padded length; the same array where none are needed. */
export function padRows<T extends Float32Array | Uint8Array>(values: T, columns: number): T {
  const stride = padded(columns);
  if (columns === stride) {
    return values;
  }
  const rows = values.length / columns;
  const out = values instanceof Uint8Array ? new Uint8Array(rows * stride) : new Float32Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * columns, (row + 1) * columns), row * stride);
  }
  return out as T;
}

/**
 * An f32 vector or row-major matrix on the device. There every dimension is padded to a multiple of 4, so that kernels
 * read whole vec4s and 4x4 blocks; the padding is zeros and stays so. On the host there is no padding.
 */
export class Tensor {
  readonly buffer: GPUBuffer;

  /**
   * Creates a tensor of zeros.
   * @throws LimitError where it is larger than the adapter can bind.
   */
  constructor(
    readonly gpu: Gpu,
    readonly name: string,
    readonly shape: readonly number[],
  ) {
    this.buffer = gpu.buffer(`The tensor ${name} [${shape.join(', ')}]`, tensorBytes(shape));
  }

  /** Rows of a matrix; 1 for a vector. */
  get rows(): number {
    return this.shape.length === 1 ? 1 : this.shape[0];
  }

  get columns(): number {
    return this.shape[this.shape.length - 1];
  }

  /** Writes values without padding, `rows` rows from the first one on; [rows, columns]. */
  write(values: Float32Array<ArrayBuffer>, rows: number = this.rows): void {
    const stride = padded(this.columns);
    this.gpu.device.queue.writeBuffer(this.buffer, 0, padRows(values, this.columns), 0, rows * stride);
  }

  /** The values without padding, row-major; the first `rows` rows. */
  async read(rows: number = this.rows): Promise<Float32Array<ArrayBuffer>> {
    const { columns } = this;
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

  destroy(): void {
    this.gpu.free(this.buffer);
  }
}
