import { checkRows } from './check.js';
import type { Dataset, RowSource, StoredRows } from './rows.js';

export type { RowSource, StoredRows };

/** Bytes per value. */
export const valueBytes = { u8: 1, f32: 4 } as const;

/** A data set as a source of rows; a source as it is. @throws DataError if it is invalid. */
export function rowSource(given: Dataset | RowSource): RowSource {
  checkRows(given);
  if ('read' in given) {
    return given;
  }
  const { name, rows, in_dims, data, normalization } = given;
  return {
    name,
    rows,
    in_dims,
    type: data instanceof Uint8Array ? 'u8' : 'f32',
    normalization,
    read: (first, end) => data.subarray(first * in_dims, end * in_dims),
  };
}
