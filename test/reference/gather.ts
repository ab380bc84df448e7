import type { Normalization, ScalarNormalization } from '../../src/sae/rows/dataset.js';

/**
 * The rows of `data` [any, in_dims] that `indices` names, as inputs: [indices.length, in_dims]. 8-bit values
 * are divided by 255 first; then (v - mean) / std. The rows of tests have those two numbers.
 */
export function gatherRows(
  data: Uint8Array | Float32Array,
  in_dims: number,
  indices: ArrayLike<number>,
  normalization: Normalization,
): Float64Array {
  const divisor = data instanceof Uint8Array ? 255 : 1;
  const { mean, std } = normalization as ScalarNormalization;
  const out = new Float64Array(indices.length * in_dims);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * in_dims;
    for (let j = 0; j < in_dims; j++) out[i * in_dims + j] = (data[from + j] / divisor - mean) / std;
  }
  return out;
}
