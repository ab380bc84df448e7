import { checkRead } from './check.js';
import { type Dataset, pickRows, sliceRows } from './dataset.js';
import { pickLabels, sliceLabels } from './labels.js';
import { type RowSource, type Rows, type StoredRows, valueBytes } from './source.js';

/** Bytes read at a time. */
const readBytes = 16 * 2 ** 20;
/** Bytes of a piece of a run. */
const pieceBytes = 2 ** 20;
/** Bytes of runs that are read ahead: several at once, since disks are faster that way. */
const aheadBytes = 4 * 2 ** 20;
/** Runs that are read ahead, at most: each may open a file. */
const aheadRuns = 32;

/** Runs of rows that follow each other: from the first up to, not including, the last. */
type Runs = Iterable<readonly [first: number, end: number]>;

/** All rows, some at a time. */
export function* everyRow({ rows, in_dims, type }: RowSource): Generator<readonly [number, number]> {
  const each = Math.max(1, Math.floor(readBytes / (in_dims * valueBytes[type])));
  for (let first = 0; first < rows; first += each) {
    yield [first, Math.min(rows, first + each)];
  }
}

/** All rows, or blocks of them that are spread evenly, which take about `bytes`. */
export function* evenly(source: RowSource, bytes: number): Generator<readonly [number, number]> {
  const every = Math.max(1, Math.round((source.rows * source.in_dims * valueBytes[source.type]) / bytes));
  let block = 0;
  for (const run of everyRow(source)) {
    if (block++ % every === 0) yield run;
  }
}

/** How many rows are a piece, so that there may be several in memory. */
export function pieceRows(rowBytes: number): number {
  return Math.max(1, Math.floor(pieceBytes / rowBytes));
}

/** The same rows, in runs of no more than a piece. */
export function* inPieces(runs: Runs, rowBytes: number): Generator<readonly [number, number]> {
  const most = pieceRows(rowBytes);
  for (const [first, end] of runs) {
    for (let row = first; row < end; row += most) yield [row, Math.min(end, row + most)];
  }
}

/** @param places of rows, in ascending order. */
export function* runsOf(places: readonly number[]): Generator<readonly [number, number]> {
  let first = 0;
  for (let i = 1; i <= places.length; i++) {
    if (places[i] !== places[i - 1] + 1) {
      yield [places[first], places[i - 1] + 1];
      first = i;
    }
  }
}

/**
 * The values of runs of rows as they are stored, with the first row of each run and how many there are. The next runs are
 * read while the caller works on the last.
 * @param memory is read into, where the source does that, and gets more if there is too little. Then the values of a run are
 *   gone when the next one is asked for, and what thousands of runs need is not left to the garbage collector, which lets
 *   it grow. By default, each run has memory of its own.
 * @throws DataError if a row is not finite, and whatever the source throws.
 */
export async function* blocks(source: RowSource, runs: Runs, memory?: StoredRows[]) {
  const read = async ([first, end]: readonly [number, number]) => {
    const room = memory && roomFor((end - first) * source.in_dims, source, memory);
    const values = await source.read(first, end, room?.subarray(0, (end - first) * source.in_dims));
    checkRead(values, source, first, end);
    return { values, first, rows: end - first, room };
  };
  const most = Math.max(1, Math.floor(aheadBytes / (source.in_dims * valueBytes[source.type])));
  const ahead: { readonly rows: number; readonly done: ReturnType<typeof read> }[] = [];
  let rows = 0;
  const next = async function* () {
    const { rows: count, done } = ahead.shift()!;
    rows -= count;
    const { room, ...block } = await done;
    yield block;
    if (room) memory?.push(room);
  };
  for (const run of runs) {
    while (rows > most || ahead.length >= aheadRuns) yield* next();
    const done = read(run);
    // It is awaited when its turn comes, unless the caller ends earlier.
    done.catch(() => {});
    ahead.push({ rows: run[1] - run[0], done });
    rows += run[1] - run[0];
  }
  while (ahead.length > 0) yield* next();
}

/** Takes memory that has room for so many values, or makes it. */
function roomFor(values: number, { type }: RowSource, memory: StoredRows[]): StoredRows {
  const last = memory.pop();
  if (last && last.length >= values) return last;
  return type === 'u8' ? new Uint8Array(values) : new Float32Array(values);
}

/** All rows as data sets without labels, some at a time, with the number of the first row of each. @throws as `blocks`. */
export async function* datasets(source: RowSource): AsyncGenerator<readonly [block: Dataset, first: number]> {
  const { name, in_dims, normalization } = source;
  for await (const { values, first, rows } of blocks(source, everyRow(source))) {
    yield [{ name, rows, in_dims, data: values, normalization }, first];
  }
}

/** Some rows of a source, in that order, in memory. @throws DataError if a value is not finite, and what the source throws. */
export async function takeRows(given: Rows, rows: readonly number[]): Promise<Dataset> {
  if (!('read' in given)) return pickRows(given, rows);
  const { read: _, type, ...others } = given;
  const { in_dims } = given;
  const length = rows.length * in_dims;
  const data = type === 'u8' ? new Uint8Array(length) : new Float32Array(length);
  const places = new Map<number, number[]>();
  rows.forEach((row, i) => {
    places.set(row, [...(places.get(row) ?? []), i]);
  });
  const ascending = [...places.keys()].sort((a, b) => a - b);
  for await (const { values, first, rows: count } of blocks(given, runsOf(ascending))) {
    for (let i = 0; i < count; i++) {
      for (const place of places.get(first + i) ?? []) {
        data.set(values.subarray(i * in_dims, (i + 1) * in_dims), place * in_dims);
      }
    }
  }
  return { ...others, rows: rows.length, data, ...pickLabels(others.labels, rows) };
}

/** The rows from `first` up to, not including, `end`, in memory. @throws as `takeRows`. */
export async function rowsBetween(given: Rows, first: number, end: number): Promise<Dataset> {
  if (!('read' in given)) return sliceRows(given, first, end);
  const { read, type: _, ...others } = given;
  const data = await read(first, end);
  checkRead(data, given, first, end);
  return { ...others, rows: end - first, data, ...sliceLabels(others.labels, first, end) };
}
