import { DataError } from '../../errors.js';
import type { StoredRows } from '../rows.js';
import { type ArrayRows, rowsOf } from '../values.js';
import { type Element, elements, grouped, product } from './array.js';
import type { RowsFile } from './file.js';

/** An array whose values may lie scattered in a file. */
export interface StridedArray {
  readonly element: Element;
  readonly littleEndian: boolean;
  readonly shape: readonly number[];
  /** How far apart neighbours along each dimension lie, in values. */
  readonly strides: readonly number[];
  /** The byte of the first value. */
  readonly begin: number;
}

/** Where values lie, counted in values. */
export interface Places {
  /** The first value of a row, from the first one of all on. */
  readonly row: (row: number) => number;
  /** A value of a row, from the row's first one on. */
  readonly value: (column: number) => number;
  /** The byte of the index-th value of all. */
  readonly byteOf: (index: number) => number;
  /** Whether the values of a row follow each other. */
  readonly together: boolean;
}

/** @param in_dims values of a row: those of some of the last dimensions. */
export function placesIn({ element, shape, strides, begin }: StridedArray, in_dims: number): Places {
  const outer = shape.findLastIndex((_, k) => product(shape.slice(k)) === in_dims);
  const row = offsets(shape.slice(0, outer), strides.slice(0, outer));
  const value = offsets(shape.slice(outer), strides.slice(outer));
  return {
    row,
    value,
    byteOf: (index) =>
      begin + (row(Math.floor(index / in_dims)) + value(index % in_dims)) * elements[element].bytes,
    together: isRowMajor(shape.slice(outer), strides.slice(outer)),
  };
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

/** Bytes of rows that are gathered at a time. With less, a column's part of them would be too short to be read by itself. */
const blockBytes = 2 ** 25;
/** What lies between the values of two columns is read with them if it takes no more than so many bytes, or that share of theirs. */
const [leastGap, gapShare] = [4096, 1 / 16];
/** How many times what is wanted is read, at most. */
const mostSurplus = 1.5;
/** Columns whose values are put into rows together: as many f32 as the processor's memory moves at once. */
const columnsAtOnce = 16;
/** Arrays that move values of so many bytes as they are. */
const words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;

/** Columns whose values of the rows of a block lie near each other: from value `first` up to, not including, `end`. */
interface Stretch {
  readonly first: number;
  readonly end: number;
  readonly columns: readonly number[];
}

/**
 * Rows whose values lie scattered, as where a matrix is stored column by column, in pieces. Of each column, the values of as many
 * rows are read as take `blockBytes`; where these do not lie near each other, as of more dimensions, all rows are a block.
 * @param rows how many of them, and what they are called.
 * @throws DataError if a value is not finite, or there is no memory.
 */
export async function* scatteredRows(
  rows: ArrayRows,
  array: StridedArray,
  read: RowsFile['read'],
): AsyncGenerator<StoredRows> {
  const { in_dims, rows: all } = rows.shape;
  const { element, begin } = array;
  const { bytes: size } = elements[element];
  const places = placesIn(array, in_dims);
  const columns = Float64Array.from({ length: in_dims }, (_, column) => places.value(column));
  const order = [...columns.keys()].sort((a, b) => columns[a] - columns[b]);
  const few = Math.ceil(all / Math.ceil((all * in_dims * size) / blockBytes));
  const each = lieNear(rowsFrom(0, few)) ? few : all;
  for (let first = 0; first < all; first += each) {
    const block = rowsFrom(first, Math.min(all, first + each));
    const out = allocate(block.length * in_dims * size, rows.file);
    const values = new words[size](out.buffer);
    for (const some of together(stretches(block))) {
      const parts = some.map(async ({ first: from, end, columns: own }) => {
        const bytes = allocate((end - from) * size, rows.file);
        await read(begin + from * size, bytes);
        return { from, own, stored: new words[size](bytes.buffer) };
      });
      const stored = await Promise.all(parts);
      for (let i = 0; i < block.length; i++) {
        for (const { from, own, stored: there } of stored) {
          const start = block[i] - from;
          for (const column of own) values[i * in_dims + column] = there[start + columns[column]];
        }
      }
    }
    const header = { ...rows.header, fortranOrder: false, headerBytes: 0 };
    yield rowsOf(out, first * in_dims * size, { ...rows, header, byteOf: places.byteOf });
  }

  /** Where rows lie. */
  function rowsFrom(first: number, end: number): Float64Array {
    return Float64Array.from({ length: end - first }, (_, i) => places.row(first + i));
  }

  /** Whether little else lies among the values that rows have of a column. */
  function lieNear(block: Float64Array): boolean {
    const wanted = block.length * in_dims;
    return stretches(block).reduce((sum, { first, end }) => sum + end - first, 0) <= mostSurplus * wanted;
  }

  /** All columns of some rows, in stretches of the file. */
  function stretches(block: Float64Array): Stretch[] {
    const [low, high] = block.reduce(
      ([a, b], at) => [Math.min(a, at), Math.max(b, at)],
      [block[0], block[0]],
    );
    const gap = Math.max(leastGap / size, gapShare * block.length);
    const found: { first: number; end: number; columns: number[] }[] = [];
    for (const column of order) {
      const last = found.at(-1);
      const [first, end] = [low + columns[column], high + columns[column] + 1];
      if (last && first - last.end <= gap) {
        last.end = end;
        last.columns.push(column);
      } else {
        found.push({ first, end, columns: [column] });
      }
    }
    return found;
  }
}

/** Stretches of some columns each. */
function* together(stretches: readonly Stretch[]): Generator<Stretch[]> {
  let some: Stretch[] = [];
  let columns = 0;
  for (const stretch of stretches) {
    some.push(stretch);
    columns += stretch.columns.length;
    if (columns < columnsAtOnce) continue;
    yield some;
    some = [];
    columns = 0;
  }
  if (some.length > 0) yield some;
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
