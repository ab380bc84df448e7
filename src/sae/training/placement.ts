import { shown } from '../../gpu/shown.js';
import { checkObject } from '../config.js';
import { ConfigError } from '../errors.js';

/** Where the rows are while a model is trained or measured. */
export interface Placement {
  /**
   * Rows in each of two windows on the device, rounded down to whole batches, at least one; by default all rows, loaded
   * once. Each epoch, chunks of neighbouring rows come in a new order, and the rows that a window takes of it are shuffled.
   */
  readonly window_rows?: number | undefined;
}

/** Rows of a window, in whole batches; undefined for all rows. @throws ConfigError. */
export function windowRows(placement: Placement, batch_size: number): number | undefined {
  checkObject(placement, 'The placement of the rows is', '{ window_rows: 4096 }');
  const { window_rows: rows } = placement;
  if (rows === undefined) return undefined;
  if (!(Number.isInteger(rows) && rows >= 1)) {
    throw new ConfigError(`window_rows must be a whole number of at least 1, and is ${shown(rows)}.`);
  }
  return Math.max(1, Math.floor(rows / batch_size)) * batch_size;
}
