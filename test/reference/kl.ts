import type { Reals } from './gemm.js';

/** Added to the target and to every mean, so that neither logarithm meets a zero: the original's value. */
export const klEpsilon = 1e-8;

/**
 * Above this (shifted) mean the penalty goes on along its tangent: log(1 - q) ends at 1, and ReLU means do not.
 */
export const tangentStart = 0.99;

/** The sparsity penalty of one layer, before it is multiplied by sparsity_lambda. */
export interface KlSparsity {
  /** Sum over latents of -r log(q) - (1-r) log(1-q), the original's formula: the divergence plus a constant. */
  readonly cross_entropy: number;
  /** The divergence itself: 0 when every latent's mean is the target. */
  readonly kl: number;
  /** The derivative of either sum by each latent's mean: [latents]. */
  readonly slope: Float64Array;
}

/**
 * Penalty of each latent's mean activation, [latents]. With r = sparsity_target + 1e-8 and q = mean + 1e-8.
 * The penalty's gradient by one activation is slope[latent] * sparsity_lambda / rows.
 */
export function klSparsity(means: Reals, sparsity_target: number): KlSparsity {
  const constant = entropy(sparsity_target);
  const slope = new Float64Array(means.length);
  let cross_entropy = 0;
  let kl = 0;
  for (let j = 0; j < means.length; j++) {
    const value = klPenalty(means[j], sparsity_target);
    cross_entropy += value;
    kl += value - constant;
    slope[j] = klSlope(means[j], sparsity_target);
  }
  return { cross_entropy, kl, slope };
}

/** One latent's penalty: -r log(q) - (1-r) log(1-q) up to q = 0.99, its tangent beyond. */
export function klPenalty(mean: number, sparsity_target: number): number {
  const r = sparsity_target + klEpsilon;
  const q = mean + klEpsilon;
  if (q > tangentStart) return crossEntropy(r, tangentStart) + slopeAt(r, tangentStart) * (q - tangentStart);
  return crossEntropy(r, q);
}

/** The derivative of `klPenalty` by the mean. */
export function klSlope(mean: number, sparsity_target: number): number {
  return slopeAt(sparsity_target + klEpsilon, Math.min(mean + klEpsilon, tangentStart));
}

/** The constant by which a latent's penalty exceeds its divergence: the entropy of r. */
export function entropy(sparsity_target: number): number {
  const r = sparsity_target + klEpsilon;
  return crossEntropy(r, r);
}

function crossEntropy(r: number, q: number): number {
  return -r * Math.log(q) - (1 - r) * Math.log(1 - q);
}

function slopeAt(r: number, q: number): number {
  return (1 - r) / (1 - q) - r / q;
}
