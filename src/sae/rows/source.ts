import { checkRows } from './check.js';
import { isOnHost } from './normalization/index.js';
import { normalizedSource } from './on-host.js';
import type { DeviceRows, HostRows, RowSource, Rows, StoredRows } from './rows.js';

export type { DeviceRows, RowSource, Rows, StoredRows };

/** Bytes per value. */
export const valueBytes = { u8: 1, f32: 4 } as const;

/**
 * A data set as a source of rows, and a source as it is, as they go to the device: normalised, if the host does that.
 * @throws DataError if it is invalid.
 */
export function rowSource(given: Rows): DeviceRows {
  const source = storedRows(given);
  return isOnHost(source.normalization) ? normalizedSource(source as HostRows) : (source as DeviceRows);
}

/** A data set as a source of rows as they are stored; a source as it is. @throws DataError if it is invalid. */
export function storedRows(given: Rows): RowSource {
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
