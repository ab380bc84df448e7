import { everyRow } from './blocks.js';
import { pickRows } from './dataset.js';
import { unpackedName } from './formats/packing.js';
import { pickLabels } from './labels.js';
import type { Rows, StoredRows } from './rows.js';
import { notFinite } from './values.js';

/** Rows between those that are taken are read with them as long as these are at least this share. */
const leastShare = 1 / 8;

/** Some rows as rows of their own. @param taken their numbers, ascending. */
export function subset(rows: Rows, taken: Uint32Array): Rows {
  if (!('read' in rows)) return pickRows(rows, [...taken]);
  const { labels, ...others } = rows;
  const { in_dims } = rows;
  return {
    ...others,
    rows: taken.length,
    ...(labels && pickLabels(labels, [...taken])),
    async read(first, end) {
      const length = (end - first) * in_dims;
      const values = rows.type === 'u8' ? new Uint8Array(length) : new Float32Array(length);
      for (let from = first; from < end; ) {
        let to = from + 1;
        while (to < end && to - from >= leastShare * (taken[to] - taken[from])) to++;
        const read: StoredRows = await rows.read(taken[from], taken[to - 1] + 1);
        for (let i = from; i < to; i++) {
          const at = (taken[i] - taken[from]) * in_dims;
          values.set(read.subarray(at, at + in_dims), (i - first) * in_dims);
        }
        from = to;
      }
      return values;
    },
  };
}

/** Some of the rows that are spread evenly over all of them, or all if there are not more. */
export function evenRows(rows: Rows, most: number): Rows {
  if (rows.rows <= most) return rows;
  return subset(
    rows,
    Uint32Array.from({ length: most }, (_, i) => Math.floor(((i + 0.5) * rows.rows) / most)),
  );
}

/**
 * The numbers of the rows that have a value that is not finite, ascending. All rows are read once.
 * @param rows whose source gives such values, too.
 */
export async function nonFiniteRows(rows: Rows): Promise<number[]> {
  const { in_dims } = rows;
  const found: number[] = [];
  const look = (values: StoredRows, first: number) => {
    if (notFinite(values) < 0) return;
    for (let row = 0; row * in_dims < values.length; row++) {
      if (notFinite(values.subarray(row * in_dims, (row + 1) * in_dims)) >= 0) found.push(first + row);
    }
  };
  if (!('read' in rows)) look(rows.data, 0);
  else for (const [first, end] of everyRow(rows)) look(await rows.read(first, end), first);
  return found;
}

/** Where rows lie: files of some rows each, one after another. */
export interface RowPlace {
  /** The file's name, without its folder. */
  readonly file: string;
  readonly rows: number;
}

/**
 * Divides the numbers of rows into those to train on and those to hold out. A row is held out by a hash of the name of its
 * file, unpacked, and its place there, so that it stays where it is when files are added, packed, or read in another order.
 * @param share of rows that are held out, more or less.
 * @param without numbers of rows, ascending, that are neither.
 */
export function splitRows(
  places: readonly RowPlace[],
  share: number,
  without: readonly number[] = [],
): { readonly training: Uint32Array; readonly held_out: Uint32Array } {
  const training: number[] = [];
  const held_out: number[] = [];
  const left = new Set(without);
  let number = 0;
  for (const { file, rows } of places) {
    const seed = hashOf(unpackedName(file));
    for (let row = 0; row < rows; row++, number++) {
      if (left.has(number)) continue;
      (mixed(seed, row) < share * 2 ** 32 ? held_out : training).push(number);
    }
  }
  return { training: Uint32Array.from(training), held_out: Uint32Array.from(held_out) };
}

/** FNV-1a, 32 bits (Fowler, Noll and Vo). */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A hash of both, uniform in 0..2^32 - 1: the finalizer of MurmurHash3 (Appleby). */
function mixed(seed: number, row: number): number {
  let hash = Math.imul(seed ^ row, 0x9e3779b1) ^ Math.floor(row / 2 ** 32);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
