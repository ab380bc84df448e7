import type { PenaltyOf } from './penalty.js';

/**
 * L1: lambda * mean over rows of sum over latents of |latent| * n, with n the norm of the latent's column of the first decoder
 * layer's weight, or 1. PyTorch's norm has the gradient 0 at 0.
 */
export const l1: PenaltyOf = ({ sparsity_lambda = 0, l1_weighted = true }, code, rows, decoder) => {
  const latents = code.length / rows;
  const outputs = decoder.length / latents;
  const columnNorm = (j: number) =>
    Math.hypot(...Array.from({ length: outputs }, (_, o) => decoder[o * latents + j]));
  const norms = Array.from({ length: latents }, (_, j) => (l1_weighted ? columnNorm(j) : 1));
  const means = new Float64Array(latents);
  code.forEach((value, i) => {
    means[i % latents] += Math.abs(value) / rows;
  });
  const term = means.reduce((sum, mean, j) => sum + mean * norms[j], 0);
  const gradient = code.map((value, i) => (sparsity_lambda * Math.sign(value) * norms[i % latents]) / rows);
  const pull = decoder.map((weight, i) => {
    const j = i % latents;
    return norms[j] > 0 ? (sparsity_lambda * means[j] * weight) / norms[j] : 0;
  });
  return {
    value: sparsity_lambda * term,
    terms: { l1: term },
    code: gradient,
    ...(l1_weighted && { decoder: pull }),
  };
};
