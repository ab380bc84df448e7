import { endTurn } from '../turn.js';
import { checkNormalized, checkRead } from './check.js';
import { noNormalization } from './dataset.js';
import { kindOf, normalizedOnHost } from './normalization/index.js';
import type { DeviceRows, HostRows, StoredRows } from './rows.js';

/** Multiplications between two turns of the event loop: some milliseconds' work. */
const turnMultiplications = 2 ** 25;

/** Rows that are normalised as they are read, as f32. */
export function normalizedSource(source: HostRows): DeviceRows {
  const { name, rows, in_dims, image_shape, once, normalization } = source;
  const rowCost = in_dims * kindOf(normalization).cost(in_dims);
  const rowsAtATime = Math.max(64, Math.floor(turnMultiplications / rowCost));
  return {
    name,
    rows,
    in_dims,
    ...(image_shape && { image_shape }),
    ...(once && { once }),
    type: 'f32',
    normalization: noNormalization,
    stored: source,
    async read(first, end) {
      const values = await source.read(first, end);
      checkRead(values, source, first, end);
      const count = end - first;
      if (count <= rowsAtATime) {
        return normalized(first, values);
      }
      const out = new Float32Array(values.length);
      for (let row = 0; row < count; row += rowsAtATime) {
        const piece = values.subarray(row * in_dims, Math.min(count, row + rowsAtATime) * in_dims);
        out.set(normalized(first + row, piece), row * in_dims);
        await endTurn();
      }
      return out;
    },
  };

  function normalized(first: number, piece: StoredRows): Float32Array<ArrayBuffer> {
    const out = normalizedOnHost(piece, in_dims, normalization);
    checkNormalized(out, piece, source, first);
    return out;
  }
}
