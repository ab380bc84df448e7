import type { Reals } from './gemm.js';

/** Mean over all values of (output - target)^2. */
export function mse(output: Reals, target: Reals): number {
  let sum = 0;
  for (let i = 0; i < output.length; i++) sum += (output[i] - target[i]) ** 2;
  return sum / output.length;
}

/** The gradient of `mse` by the output: 2 (output - target) / count. */
export function mseGradient(output: Reals, target: Reals): Float64Array {
  const out = new Float64Array(output.length);
  const scale = 2 / out.length;
  for (let i = 0; i < out.length; i++) out[i] = scale * (output[i] - target[i]);
  return out;
}
