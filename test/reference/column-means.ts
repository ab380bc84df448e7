import type { Reals } from './gemm.js';

/** The sum of each column: x [rows, cols], result [cols]. */
export function columnSums(x: Reals, rows: number, cols: number): Float64Array {
  const out = new Float64Array(cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[j] += x[i * cols + j];
  }
  return out;
}

/** The mean of each column: x [rows, cols], result [cols]. */
export function columnMeans(x: Reals, rows: number, cols: number): Float64Array {
  return columnSums(x, rows, cols).map((sum) => sum / rows);
}
