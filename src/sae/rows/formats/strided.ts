import { DataError } from '../../errors.js';
import type { StoredRows } from '../rows.js';
import { type ArrayRows, bytesFor, rowsOf } from '../values.js';
import { elements, grouped } from './array.js';
import { type OpenedRows, type OpenOptions, piecesAt, type RowsFile } from './file.js';
import { describedRows } from './headed.js';
import { placesIn, type StridedArray, scatteredRows } from './scattered.js';

/**
 * The rows of an array that lies as its strides say. Those whose values lie together are read from their places; otherwise, as
 * where a matrix is stored transposed, all are read in blocks.
 * @param source the array's name in messages.
 * @throws DataError.
 */
export function openedStrided(
  source: string,
  array: StridedArray,
  options: OpenOptions,
  read: RowsFile['read'],
): OpenedRows {
  const { element, littleEndian, shape, begin } = array;
  const header = { element, littleEndian, fortranOrder: false, shape, headerBytes: 0 };
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
  const places = placesIn(array, in_dims);
  const place = (row: number) => begin + places.row(row) * size;
  const values: ArrayRows = {
    header,
    shape: { rows, in_dims },
    file: source,
    within: '',
    nonfinite: options.nonfinite,
    byteOf: places.byteOf,
  };
  if (!places.together) return { ...described, pieces: () => scatteredRows(values, array, read) };
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
  return { ...described, at, pieces: (into) => piecesAt(rows, rowBytes, at, into) };
}

/** Whether there is little between what ends at one place and what begins at the other. */
function isNear(end: number, begin: number, rowBytes: number): boolean {
  return begin >= end && begin - end <= 3 * rowBytes;
}
