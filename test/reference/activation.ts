import type { Reals } from './gemm.js';

export type ActivationName = 'relu' | 'sigmoid' | 'identity';

/** The activation of one value. Not a number stays not a number, for ReLU as well. */
export function activate(name: ActivationName, x: number): number {
  if (name === 'relu') return Math.max(x, 0);
  if (name === 'sigmoid') return 1 / (1 + Math.exp(-x));
  return x;
}

/** The activation's derivative, from the activation's own output y. ReLU's at 0 is 0, as in PyTorch. */
export function activationDerivative(name: ActivationName, y: number): number {
  if (name === 'relu') return y > 0 ? 1 : 0;
  if (name === 'sigmoid') return y * (1 - y);
  return 1;
}

/** activation(x + bias): x [rows, cols], bias [cols], result [rows, cols]. */
export function biasActivation(
  x: Reals,
  bias: Reals,
  rows: number,
  cols: number,
  activation: ActivationName,
): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) out[i * cols + j] = activate(activation, x[i * cols + j] + bias[j]);
  }
  return out;
}

/** The gradient before an activation, from the gradient after it and the activation's output. */
export function activationBackward(gradient: Reals, output: Reals, activation: ActivationName): Float64Array {
  const out = new Float64Array(gradient.length);
  for (let i = 0; i < out.length; i++) out[i] = gradient[i] * activationDerivative(activation, output[i]);
  return out;
}

/**
 * Whether a latent counts as active: above 0, or above 0.5 for the sigmoid, which is never 0.
 */
export function isActive(activation: ActivationName, y: number): boolean {
  return y > (activation === 'sigmoid' ? 0.5 : 0);
}
