import { type RowSource, valueBytes } from './source.js';

/** Runs of rows of a source: from the first up to, not including, the last. */
export type Runs = readonly (readonly [first: number, end: number])[];

/** Bytes of a chunk: disks read several such pieces at once, in any order, as fast as all in one. */
const chunkBytes = 2 ** 20;
/** Chunks in a window, at least, so that its rows come from many places. */
const leastChunks = 16;

/**
 * How a source's rows are divided. They lie in chunks of neighbouring rows, of which only the last may be short. Taken in
 * any order of the chunks, every `size` rows are a window; the last one of a pass may be short.
 */
export class WindowSizes {
  /** Windows in a pass over all rows. */
  readonly count: number;
  /** Number of chunks: one if all rows fit into a window, or come in one order only. */
  readonly chunks: number;

  /** @param size rows of a window. @param chunkRows rows of a chunk. */
  constructor(
    readonly rows: number,
    readonly size: number,
    readonly chunkRows: number,
  ) {
    this.count = Math.ceil(rows / size);
    this.chunks = Math.ceil(rows / chunkRows);
  }

  static of({ rows, in_dims, type, once }: RowSource, most: number): WindowSizes {
    const size = Math.min(most, rows);
    const rowBytes = in_dims * valueBytes[type];
    const usual = Math.min(Math.floor(chunkBytes / rowBytes), Math.floor(size / leastChunks));
    return new WindowSizes(rows, size, size === rows || once ? rows : Math.max(1, usual));
  }

  /** Rows of a pass's window. */
  rowsOf(window: number): number {
    return Math.min(this.size, this.rows - window * this.size);
  }

  /** Where the rows of a pass's window are. @param order of the chunks. */
  runs(order: Uint32Array, window: number): Runs {
    const runs: [number, number][] = [];
    const from = window * this.size;
    const to = from + this.rowsOf(window);
    const each = this.chunkRows;
    // Before the place of the short chunk, all are of one length.
    const short = order.indexOf(this.chunks - 1);
    const missing = this.chunks * each - this.rows;
    const placeOf = (index: number) => index * each - (index > short ? missing : 0);
    let index = Math.max(0, Math.floor(from / each) - 1);
    while (placeOf(index + 1) <= from) index += 1;
    for (; index < order.length && placeOf(index) < to; index++) {
      const place = placeOf(index);
      const first = order[index] * each;
      const begin = first + Math.max(0, from - place);
      const end = Math.min(first + (placeOf(index + 1) - place), first + (to - place));
      const last = runs.at(-1);
      // Chunks that follow each other are read as one.
      if (last?.[1] === begin) last[1] = end;
      else runs.push([begin, end]);
    }
    return runs;
  }
}
