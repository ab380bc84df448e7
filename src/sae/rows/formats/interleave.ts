import { type Element, elements, viewOf } from './array.js';

/** The values of a column, little-endian, in memory that is aligned for them. */
export interface ColumnBytes {
  readonly element: Element;
  readonly bytes: Uint8Array;
}

/** The type of rows that have a value of each of these types: theirs if they are of one, else f64, which has them all. */
export function commonElement(all: readonly Element[]): Element {
  return all.every((element) => element === all[0]) ? all[0] : 'f64';
}

const words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;

/** Columns of as many values as rows of one value of each: [rows, columns] of their common type. */
export function interleaved(columns: readonly ColumnBytes[], rows: number): Uint8Array {
  const element = commonElement(columns.map((column) => column.element));
  const size = elements[element].bytes;
  const Words = words[size];
  const out = new Words(rows * columns.length);
  for (const [j, { element: own, bytes }] of columns.entries()) {
    const view = viewOf(bytes);
    const values =
      own === element
        ? new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, rows)
        : Float64Array.from({ length: rows }, (_, i) =>
            elements[own].read(view, i * elements[own].bytes, true),
          );
    for (let i = 0, at = j; i < rows; i++, at += columns.length) out[at] = values[i];
  }
  return new Uint8Array(out.buffer);
}
