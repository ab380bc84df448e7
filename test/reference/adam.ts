import type { Reals } from './gemm.js';

export interface AdamOptions {
  readonly betas: readonly [number, number];
  readonly eps: number;
}

/** PyTorch's. */
const standard: AdamOptions = { betas: [0.9, 0.999], eps: 1e-8 };

/** Running means of one tensor's gradient and of its square; both begin as zeros. */
export interface Moments {
  readonly m: Float64Array;
  readonly v: Float64Array;
}

export function zeroMoments(length: number): Moments {
  return { m: new Float64Array(length), v: new Float64Array(length) };
}

/**
 * One Adam step, in place, on a tensor's values and its moments. `t` counts steps from 1. PyTorch's formula
 * (torch.optim.Adam without weight decay or amsgrad): epsilon is added after the root of the corrected v.
 */
export function adamStep(
  values: Float64Array,
  gradient: Reals,
  moments: Moments,
  t: number,
  lr: number,
  { betas: [beta1, beta2], eps }: AdamOptions = standard,
): void {
  const { m, v } = moments;
  const rate = lr / (1 - beta1 ** t);
  const root = Math.sqrt(1 - beta2 ** t);
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i];
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    values[i] -= (rate * m[i]) / (Math.sqrt(v[i]) / root + eps);
  }
}
