import { DataError } from '../errors.js';
import {
  type ArrayHeader,
  concat,
  type Element,
  elements,
  grouped,
  product,
  viewOf,
} from './formats/array.js';
import type { RowShape } from './formats/shape.js';
import type { StoredRows } from './rows.js';

/** Collects a file's values as they arrive: checks each and keeps them as u8 or f32, in the file's order. */
export class Values {
  private readonly data: Uint8Array | Float32Array;
  private readonly claimed: number;
  private received = 0;
  /** The first bytes of a value whose other bytes have not arrived. */
  private rest: Uint8Array = new Uint8Array(0);
  private readonly place: string;

  constructor(
    private readonly header: ArrayHeader,
    private readonly shape: RowShape,
    private readonly file: string,
    gzipped: boolean,
    private readonly into?: StoredRows,
  ) {
    const count = shape.rows * shape.in_dims;
    this.claimed = count * elements[header.element].bytes;
    this.place = gzipped ? ' of the unpacked data' : '';
    try {
      // Values in Fortran's order are put into the right one once all are there.
      const own = into && !header.fortranOrder ? into : undefined;
      this.data = own ?? (header.element === 'u8' ? new Uint8Array(count) : new Float32Array(count));
    } catch (error) {
      throw new DataError(
        `${file} has ${grouped(count)} values, which do not fit into this machine's memory. Use fewer rows.`,
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
    else this.pushFloats(chunk, elements[element]);
    this.received += chunk.length;
  }

  private pushFloats(chunk: Uint8Array, { bytes: size, read }: (typeof elements)[Element]): void {
    const bytes = this.rest.length > 0 ? concat(this.rest, chunk) : chunk;
    const first = (this.received - this.rest.length) / size;
    const count = Math.floor(bytes.length / size);
    const view = viewOf(bytes);
    const { littleEndian } = this.header;
    const { data } = this;
    for (let i = 0; i < count; i++) {
      const value = read(view, size * i, littleEndian);
      data[first + i] = value;
      if (!Number.isFinite(data[first + i])) throw this.notFinite(first + i, value);
    }
    this.rest = bytes.subarray(count * size);
  }

  private notFinite(index: number, value: number): DataError {
    const { header, shape, file } = this;
    const place = header.fortranOrder ? this.rowMajorIndex(index) : index;
    const [row, column] = [Math.floor(place / shape.in_dims), place % shape.in_dims];
    const byte = header.headerBytes + index * elements[header.element].bytes;
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

  /** Where a value that is the index-th in Fortran's order is in the order in which the last index runs fastest. */
  private rowMajorIndex(index: number): number {
    const { shape } = this.header;
    let rest = index;
    let place = 0;
    for (const [k, side] of shape.entries()) {
      place += (rest % side) * product(shape.slice(k + 1));
      rest = Math.floor(rest / side);
    }
    return place;
  }

  /** [rows, in_dims]. */
  rowMajor(): StoredRows {
    const { data } = this;
    const { fortranOrder, shape } = this.header;
    if (!fortranOrder) return data;
    const strides = shape.map((_, k) => product(shape.slice(k + 1)));
    const out =
      this.into ?? (data instanceof Uint8Array ? new Uint8Array(data.length) : new Float32Array(data.length));
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
}
