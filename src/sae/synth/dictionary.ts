import { addRowProducts } from '../products.js';
import { endTurn } from '../turn.js';

/** Adam's decay rates and epsilon. */
const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
/** Vectors between two turns of the event loop: less than a second's work at 768 values. */
const vectorsAtATime = 512;

/** Divides rows by their norms, in place. @param vectors [rows, depth], none of which is zero. */
export function normalizeRows(vectors: Float32Array, depth: number): void {
  for (let at = 0; at < vectors.length; at += depth) {
    const row = vectors.subarray(at, at + depth);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    for (let k = 0; k < depth; k++) {
      row[k] /= norm;
    }
  }
}

/**
 * Turns n vectors D_i away from each other, in place: normalises them, does steps of Adam on
 * sum over i ≠ j of (D_i · D_j)² + n · sum over i of (D_i · D_i - 1)², and normalises them again.
 *
 * The sum over all pairs is the squared norm of D Dᵀ, which is that of Dᵀ D: so a step takes products of n · depth²
 * operations, not n² · depth.
 * @param vectors [n, depth].
 * @param progress is called after every step.
 * @param signal ends it, with the signal's reason.
 */
export async function orthogonalize(
  vectors: Float32Array,
  depth: number,
  { steps, lr }: { readonly steps: number; readonly lr: number },
  { progress, signal }: { progress?: (step: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  const n = vectors.length / depth;
  normalizeRows(vectors, depth);
  const first = new Float32Array(vectors.length);
  const second = new Float32Array(vectors.length);
  const gram = new Float64Array(depth * depth);
  const transposed = new Float32Array(vectorsAtATime * depth);
  const products = new Float64Array(vectorsAtATime * depth);
  for (let step = 1; step <= steps; step++) {
    gram.fill(0);
    for (let from = 0; from < n; from += vectorsAtATime) {
      const rows = Math.min(vectorsAtATime, n - from);
      for (let i = 0; i < rows; i++) {
        for (let k = 0; k < depth; k++) {
          transposed[k * rows + i] = vectors[(from + i) * depth + k];
        }
      }
      const columns = { data: transposed, rows: depth };
      addRowProducts(columns, columns, rows, gram, true);
      await endTurn();
      signal?.throwIfAborted();
    }
    const rate = lr / (1 - beta1 ** step);
    const correction = Math.sqrt(1 - beta2 ** step);
    for (let from = 0; from < n; from += vectorsAtATime) {
      const rows = Math.min(vectorsAtATime, n - from);
      const some = vectors.subarray(from * depth, (from + rows) * depth);
      products.fill(0);
      addRowProducts({ data: some, rows }, { data: gram, rows: depth }, depth, products);
      for (let i = 0; i < rows; i++) {
        const row = some.subarray(i * depth, (i + 1) * depth);
        const square = row.reduce((sum, value) => sum + value * value, 0);
        const own = n * (square - 1) - square;
        for (let k = 0; k < depth; k++) {
          const at = (from + i) * depth + k;
          const gradient = 4 * (products[i * depth + k] + own * row[k]);
          first[at] += (1 - beta1) * (gradient - first[at]);
          second[at] += (1 - beta2) * (gradient * gradient - second[at]);
          row[k] -= (rate * first[at]) / (Math.sqrt(second[at]) / correction + epsilon);
        }
      }
      await endTurn();
      signal?.throwIfAborted();
    }
    progress?.(step);
  }
  normalizeRows(vectors, depth);
}
