import { DataError } from '../errors.js';

/** What an array file says of itself before its values begin. */
export interface ArrayHeader {
  readonly format: '.npy' | 'IDX';
  readonly element: 'u8' | 'f32' | 'f64';
  readonly littleEndian: boolean;
  /** Whether the first index runs fastest, as in Fortran, and not the last. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Where the values begin. */
  readonly headerBytes: number;
}

export const elementBytes = { u8: 1, f32: 4, f64: 8 } as const;

/** Rows, values a row, and [height, width] where rows are images. */
export interface RowShape {
  readonly rows: number;
  readonly in_dims: number;
  readonly image_shape?: readonly [number, number];
}

/** Reads a shape as rows: (rows, values) or (rows, height, width). Throws DataError for any other, or an empty one. */
export function rowShape(header: ArrayHeader, file: string): RowShape {
  const { shape } = header;
  const written = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  if (shape.length !== 2 && shape.length !== 3) {
    throw new DataError(
      `${file} has ${shape.length} ${shape.length === 1 ? 'dimension' : 'dimensions'}, shape ${written}; ` +
        'expected examples as rows: (rows, values) or (rows, height, width).',
    );
  }
  if (shape.includes(0)) {
    throw new DataError(
      `${file} holds no values, its shape is ${written}; expected at least one row and one value a row.`,
    );
  }
  const [rows, height, width] = shape as [number, number, number?];
  if (width === undefined) return { rows, in_dims: height };
  return { rows, in_dims: height * width, image_shape: [height, width] };
}

/** A count as messages show it: 9,912,422, or 1.21e+30 where the digits would not help. */
export function grouped(count: number): string {
  return count < 1e15 ? count.toLocaleString('en-US') : count.toPrecision(3);
}

export function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
