import type { StoredRows } from '../stored.js';
import type { NormalizationKind } from './kind.js';

/** Each row is divided by its own norm. A row of zeros has no direction, and stays one. */
export interface RowNorm {
  readonly kind: 'row';
}

export const row: NormalizationKind<RowNorm> = {
  arrays: () => ({}),
  numbers: [],
  linear: false,
  cost: () => 1,
  fit: async () => ({ kind: 'row' }),
  isUsable: () => true,

  apply(_, values, __, in_dims, out) {
    for (let i = 0; i < values.length; ) {
      const end = i + in_dims;
      const norm = normOf(values, i, end);
      const scale = norm > 0 ? 1 / norm : 0;
      for (; i < end; i++) out[i] = values[i] * scale;
    }
  },

  undo(_, values, stored, __, in_dims, out) {
    for (let i = 0; i < values.length; ) {
      const end = i + in_dims;
      const norm = normOf(stored, i, end);
      for (; i < end; i++) out[i] = values[i] * norm;
    }
  },
};

function normOf(values: StoredRows, first: number, end: number): number {
  let sum = 0;
  for (let i = first; i < end; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}
