import type { RowSource, StoredRows } from './rows.js';

/** Rows with a place each. */
type Placed = Pick<RowSource, 'rows' | 'read'>;

/** The rows of several sources, one after another. @param parts of one width and type. */
export function joined(parts: readonly Placed[]): Placed {
  if (parts.length === 1) return parts[0];
  const firsts: number[] = [];
  let rows = 0;
  for (const part of parts) {
    firsts.push(rows);
    rows += part.rows;
  }
  /** The part that has a row. */
  const partOf = (row: number) => {
    let [low, high] = [0, parts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (firsts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  return {
    rows,
    async read(first, end, into) {
      const pieces: StoredRows[] = [];
      for (let part = partOf(first), row = first; row < end; part++) {
        const next = Math.min(end, firsts[part] + parts[part].rows);
        // Pieces are put together in memory of their own.
        const whole = row === first && next === end;
        pieces.push(
          await parts[part].read(row - firsts[part], next - firsts[part], whole ? into : undefined),
        );
        row = next;
      }
      return pieces.length === 1 ? pieces[0] : concatenated(pieces);
    },
  };
}

/** Values of one type, one after another. */
export function concatenated(pieces: readonly StoredRows[]): StoredRows {
  const length = pieces.reduce((all, piece) => all + piece.length, 0);
  const whole = pieces[0] instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
  let filled = 0;
  for (const piece of pieces) {
    whole.set(piece, filled);
    filled += piece.length;
  }
  return whole;
}
