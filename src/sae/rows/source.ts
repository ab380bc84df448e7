import { checkRows } from './check.js';
import type { RowSource, Rows, StoredRows } from './rows.js';

export type { RowSource, Rows, StoredRows };

/** Bytes per value. */
export const valueBytes = { u8: 1, f32: 4 } as const;

/** A data set as a source of rows; a source as it is. @throws DataError if it is invalid. */
export function rowSource(given: Rows): RowSource {
  checkRows(given);
  if ('read' in given) {
    return given;
  }
  const { data, ...others } = given;
  const { in_dims } = others;
  return {
    ...others,
    type: data instanceof Uint8Array ? 'u8' : 'f32',
    read: (first, end) => data.subarray(first * in_dims, end * in_dims),
  };
}
