import { DataError } from '../../errors.js';
import type { StoredRows } from '../rows.js';
import { type ArrayRows, bytesFor, rowsOf } from '../values.js';
import { type Element, elements, grouped, product } from './array.js';
import { type OpenedRows, type OpenOptions, type RowsFile, rowsAtATime } from './file.js';
import { describedRows } from './headed.js';

/** An array whose values may lie scattered in a file, little-endian. */
export interface StridedArray {
  readonly element: Element;
  readonly shape: readonly number[];
  /** How far apart neighbours along each dimension lie, in values. */
  readonly strides: readonly number[];
  /** The byte of the first value. */
  readonly begin: number;
}

/**
 * The rows of an array that lies as its strides say. Those whose values lie together are read from their places; otherwise, as
 * where a matrix is stored transposed, all of the array is read at once.
 * @param source the array's name in messages.
 * @throws DataError.
 */
export function openedStrided(
  source: string,
  array: StridedArray,
  options: OpenOptions,
  read: RowsFile['read'],
): OpenedRows {
  const { element, shape, strides, begin } = array;
  const header = { element, littleEndian: true, fortranOrder: false, shape, headerBytes: 0 };
  const described = describedRows(source, header, options);
  const { rows, in_dims } = described;
  const size = elements[element].bytes;
  const rowBytes = in_dims * size;
  const { most_bytes = Number.POSITIVE_INFINITY } = options;
  if (rows * rowBytes > most_bytes) {
    throw new DataError(
      `${source} has ${grouped(rows)} rows of ${grouped(in_dims)} ${element} values, so ${grouped(rows * rowBytes)} bytes; at most ` +
        `${grouped(most_bytes)} are accepted here. Use fewer rows.`,
    );
  }
  // Of the dimensions, the last ones are those of a row.
  const outer = shape.findLastIndex((_, k) => product(shape.slice(k)) === in_dims);
  const rowOffset = offsets(shape.slice(0, outer), strides.slice(0, outer));
  const valueOffset = offsets(shape.slice(outer), strides.slice(outer));
  const values: ArrayRows = {
    header,
    shape: { rows, in_dims },
    file: source,
    within: '',
    nonfinite: options.nonfinite,
    byteOf: (index) => begin + (rowOffset(Math.floor(index / in_dims)) + valueOffset(index % in_dims)) * size,
  };
  const place = (row: number) => begin + rowOffset(row) * size;
  const together = isRowMajor(shape.slice(outer), strides.slice(outer));
  const each = rowsAtATime(rowBytes);
  if (!together) {
    return {
      ...described,
      async *pieces() {
        const first = begin;
        const length = size * (1 + shape.reduce((last, side, k) => last + (side - 1) * strides[k], 0));
        const all = allocate(length, source);
        await read(first, all);
        const inRow = Float64Array.from({ length: in_dims }, (_, i) => valueOffset(i) * size);
        for (let row = 0; row < rows; row += each) {
          const end = Math.min(rows, row + each);
          const bytes = new Uint8Array((end - row) * rowBytes);
          let to = 0;
          for (let i = row; i < end; i++) {
            const start = rowOffset(i) * size;
            for (const offset of inRow) {
              for (let k = 0; k < size; k++) bytes[to++] = all[start + offset + k];
            }
          }
          yield rowsOf(bytes, row * rowBytes, values);
        }
      },
    };
  }
  const at = async (first: number, end: number, memory?: StoredRows) => {
    const bytes = bytesFor((end - first) * in_dims, element, memory);
    for (let row = first; row < end; ) {
      // Rows that follow each other, or nearly so, are read together.
      let last = row;
      while (last + 1 < end && isNear(place(last) + rowBytes, place(last + 1), rowBytes)) last++;
      const start = place(row);
      const span = place(last) + rowBytes - start;
      const wanted = (last + 1 - row) * rowBytes;
      const into = bytes.subarray((row - first) * rowBytes, (row - first) * rowBytes + wanted);
      if (span === wanted) {
        await read(start, into);
      } else {
        const some = new Uint8Array(span);
        await read(start, some);
        for (let i = row; i <= last; i++) {
          const from = place(i) - start;
          into.set(some.subarray(from, from + rowBytes), (i - row) * rowBytes);
        }
      }
      row = last + 1;
    }
    return rowsOf(bytes, first * rowBytes, values, memory);
  };
  return {
    ...described,
    at,
    async *pieces() {
      for (let row = 0; row < rows; row += each) yield await at(row, Math.min(rows, row + each));
    },
  };
}

/** Whether there is little between what ends at one place and what begins at the other. */
function isNear(end: number, begin: number, rowBytes: number): boolean {
  return begin >= end && begin - end <= 3 * rowBytes;
}

/** Where the index-th item in the order of the indices, the last one running fastest, lies. */
function offsets(shape: readonly number[], strides: readonly number[]): (index: number) => number {
  return (index) => {
    let rest = index;
    let offset = 0;
    for (let k = shape.length - 1; k >= 0; k--) {
      offset += (rest % shape[k]) * strides[k];
      rest = Math.floor(rest / shape[k]);
    }
    return offset;
  };
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  return shape.every((side, k) => side === 1 || strides[k] === product(shape.slice(k + 1)));
}

function allocate(bytes: number, source: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new DataError(
      `${source} has rows whose values lie scattered over ${grouped(bytes)} bytes, which do not fit into this machine's memory at ` +
        'once. Save it once more, contiguous.',
      { cause: error },
    );
  }
}
