import { columnMeans } from './column-means.js';
import { jumpreluPenalty } from './jumprelu.js';
import { klSparsity } from './kl.js';
import { l1 } from './l1.js';
import { listPenalty } from './lists.js';
import type { PenaltyOf } from './penalty.js';

const none: PenaltyOf = (_, code) => ({ value: 0, terms: {}, code: new Float64Array(code.length) });

/** Of each kind of sparsity, by its name. */
export const penalties: Readonly<Record<string, PenaltyOf>> = {
  none,

  topk: listPenalty,
  batchtopk: listPenalty,
  matryoshka: listPenalty,

  jumprelu: jumpreluPenalty,

  l1,

  kl({ sparsity_lambda = 0, sparsity_target = 0 }, code, rows) {
    const latents = code.length / rows;
    const { cross_entropy, kl, slope } = klSparsity(columnMeans(code, rows, latents), sparsity_target);
    // The same in every row.
    const gradient = code.map((_value, i) => (sparsity_lambda * slope[i % latents]) / rows);
    return { value: sparsity_lambda * cross_entropy, terms: { kl }, code: gradient };
  },
};
