/** Rows and depth of the blocks that a product is divided into, so that they stay in the processor's cache. */
const blockRows = 64;
const blockDepth = 256;

/** Rows of a matrix, of f32 or f64, [rows, depth]. */
export interface Rows {
  readonly data: Float32Array | Float64Array;
  readonly rows: number;
}

/**
 * Adds the products of all rows of `a` with all rows of `b`, a · bᵀ, to `out`, [a.rows, b.rows]: for matrices of
 * thousands of rows without a device, in blocks, with eight sums at a time.
 * @param depth values of a row.
 * @param symmetric whether a and b are the same, and `out` is symmetric: half of it is computed.
 */
export function addRowProducts(
  a: Rows,
  b: Rows,
  depth: number,
  out: Float32Array | Float64Array,
  symmetric = false,
): void {
  const left = new Float64Array((blockRows + 4) * blockDepth);
  const right = new Float64Array((blockRows + 4) * blockDepth);
  for (let from = 0; from < depth; from += blockDepth) {
    const width = Math.min(blockDepth, depth - from);
    for (let i = 0; i < a.rows; i += blockRows) {
      const leftRows = pack(a, i, depth, from, width, left);
      for (let j = symmetric ? i : 0; j < b.rows; j += blockRows) {
        const rightRows = pack(b, j, depth, from, width, right);
        addBlock(left, leftRows, right, rightRows, width, out, i * b.rows + j, b.rows);
      }
    }
  }
  if (symmetric) {
    for (let i = 0; i < a.rows; i++) {
      for (let j = 0; j < i; j++) {
        out[i * b.rows + j] = out[j * b.rows + i];
      }
    }
  }
}

/** Copies part of some rows, and zeros up to a multiple of four rows. @returns how many rows there are. */
function pack(
  { data, rows }: Rows,
  first: number,
  depth: number,
  from: number,
  width: number,
  packed: Float64Array,
): number {
  const count = Math.min(blockRows, rows - first);
  for (let i = 0; i < count; i++) {
    const at = (first + i) * depth + from;
    packed.set(data.subarray(at, at + width), i * width);
  }
  packed.fill(0, count * width, Math.ceil(count / 4) * 4 * width);
  return count;
}

/** Adds the products of packed rows to `out` from `at` on, whose rows are `stride` apart. */
function addBlock(
  left: Float64Array,
  leftRows: number,
  right: Float64Array,
  rightRows: number,
  width: number,
  out: Float32Array | Float64Array,
  at: number,
  stride: number,
): void {
  const sums = new Float64Array(8);
  for (let i = 0; i < leftRows; i += 4) {
    for (let j = 0; j < rightRows; j += 2) {
      let [s0, s1, s2, s3, s4, s5, s6, s7] = [0, 0, 0, 0, 0, 0, 0, 0];
      let l = i * width;
      let r = j * width;
      for (const end = l + width; l < end; l++, r++) {
        const r0 = right[r];
        const r1 = right[r + width];
        const l0 = left[l];
        const l1 = left[l + width];
        const l2 = left[l + 2 * width];
        const l3 = left[l + 3 * width];
        s0 += l0 * r0;
        s1 += l0 * r1;
        s2 += l1 * r0;
        s3 += l1 * r1;
        s4 += l2 * r0;
        s5 += l2 * r1;
        s6 += l3 * r0;
        s7 += l3 * r1;
      }
      sums.set([s0, s1, s2, s3, s4, s5, s6, s7]);
      for (let row = i; row < Math.min(i + 4, leftRows); row++) {
        for (let column = j; column < Math.min(j + 2, rightRows); column++) {
          out[at + row * stride + column] += sums[(row - i) * 2 + column - j];
        }
      }
    }
  }
}
