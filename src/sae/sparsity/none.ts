import { encoderInit, learningRate, noPenalty, reconstruction, revival, sparsity } from './sparsity.js';

/** No penalty: a plain autoencoder. */
export const none = sparsity({
  summary: 'no penalty',
  live: { lr: learningRate(1e-3) },
  fixed: {
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('random'),
    revive: revival('none'),
  },
  terms: [],
  coefficients: () => [],
  penalty: () => noPenalty,
});
