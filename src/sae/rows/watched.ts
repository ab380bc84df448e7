import type { Unnormalized } from './normalize.js';
import type { Rows, StoredRows } from './source.js';

/** What looks on while rows are read before they are used. */
export interface Watching {
  /** Ends the reading, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Is told how many rows of a pass were read, and of how many, if that is known. */
  readonly onRows?: ((done: number, all: number | undefined) => void) | undefined;
}

/** The same rows, whose reading is watched. Those in memory are there already. */
export function watched<R extends Rows | Unnormalized>(rows: R, { signal, onRows }: Watching): R {
  if (!('read' in rows)) return rows;
  // Reads that run at once end in any order.
  let furthest = 0;
  return {
    ...rows,
    async read(first: number, end: number, into?: StoredRows) {
      signal?.throwIfAborted();
      if (first === 0) furthest = 0;
      const values = await rows.read(first, end, into);
      if (end > furthest) {
        furthest = end;
        onRows?.(end, rows.rows);
      }
      return values;
    },
  };
}
