import { encoderInit, noPenalty, reconstruction, sparsity } from './sparsity.js';

/** No penalty: a plain autoencoder. */
export const none = sparsity({
  summary: 'no penalty',
  live: {},
  fixed: { reconstruction: reconstruction('sum'), encoder_init: encoderInit('random') },
  terms: [],
  coefficients: () => [],
  penalty: () => noPenalty,
});
