// Windows resets a GPU that works on one command for more than two seconds, and everything on it is lost. So work is counted before it is
// submitted: in operations of a slow GPU, which does 100 GFLOP/s and moves 25 GB/s. What would be too much for one dispatch is several,
// with the same results, and what would be too much for one submit is several.

/** Operations for which it moves a byte. */
export const byteWork = 4;
/** Operations of a dispatch that can be cut, at most: a third of a second on a slow GPU. */
export const mostWork = 2 ** 35;
/** Dispatches of so much work are in a submit whose time is not known yet, at most: two thirds of a second on a slow GPU. */
export const dispatchesTogether = 2;

/** Some of the workgroups of a dispatch. */
export interface Cut {
  readonly first: readonly [rows: number, columns: number];
  readonly count: readonly [rows: number, columns: number];
}

/**
 * Cuts workgroups that lie in rows and columns into parts of at most `most`, whole rows of them as long as these are no more.
 * @param groups of each side.
 */
export function cutGroups([rows, columns]: readonly [number, number], most: number): Cut[] {
  const high = Math.max(1, Math.min(rows, Math.floor(most / columns)));
  const wide = Math.max(1, Math.min(columns, Math.floor(most / high)));
  const cuts: Cut[] = [];
  for (let row = 0; row < rows; row += high) {
    for (let column = 0; column < columns; column += wide) {
      const count = [Math.min(high, rows - row), Math.min(wide, columns - column)] as const;
      cuts.push({ first: [row, column], count });
    }
  }
  return cuts;
}
