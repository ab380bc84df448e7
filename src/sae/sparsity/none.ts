import { sparsity } from './sparsity.js';

/** No penalty: a plain autoencoder. */
export const none = sparsity({
  summary: 'no penalty',
  live: {},
  fixed: {},
  terms: [],
  coefficients: () => [],
  penalty: () => ({
    statistics: 'sparsity/none.wgsl',
    gradient: 'sparsity/no_penalty_gradient.wgsl',
    perLatent: [],
  }),
});
