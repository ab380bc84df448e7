import { valuesOfRow } from './layout.js';
import type { NamedArray } from './pack.js';

/**
 * The values of the largest magnitudes of each row, as arrays `name_places` and `name_values`, [rows, count]; of equal ones the first.
 * @param count of values of a row, at most.
 */
export function largestValues(
  name: string,
  rows: Float32Array,
  columns: number,
  count = valuesOfRow,
): NamedArray[] {
  const kept = Math.min(count, columns);
  const shape = [rows.length / columns, kept];
  const places = new Uint32Array(shape[0] * kept);
  const values = new Float32Array(shape[0] * kept);
  for (let row = 0; row < shape[0]; row++) {
    const own = rows.subarray(row * columns, (row + 1) * columns);
    const order = [...own.keys()].sort((a, b) => Math.abs(own[b]) - Math.abs(own[a]) || a - b);
    for (let i = 0; i < kept; i++) {
      places[row * kept + i] = order[i];
      values[row * kept + i] = own[order[i]];
    }
  }
  return [
    { name: `${name}_places`, type: 'u32', shape, values: places },
    { name: `${name}_values`, type: 'f32', shape, values },
  ];
}
