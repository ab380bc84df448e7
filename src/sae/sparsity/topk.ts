import { auxk, auxkDefaults, checkAuxk } from './auxk.js';
import { kDecay, rowK } from './k.js';
import { checkRescale, rescale, rescaling } from './rescale.js';
import { encoderInit, learningRate, noPenalty, reconstruction, revival, sparsity } from './sparsity.js';

/**
 * The k largest latents of each row stay, the others are 0: k-sparse autoencoders (Makhzani and Frey, 2013; Gao et al.,
 * 2024, equation 3: after the ReLU). Where fewer than k are above 0, fewer are active. The gradient goes to the
 * selected latents alone.
 */
export const topk = sparsity({
  summary: 'the k largest latents of each row',
  live: { lr: learningRate(1e-3), ...auxk.live },
  fixed: {
    k: rowK,
    k_decay: kDecay,
    rescale_acts_by_decoder_norm: rescale,
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('decoder_transpose'),
    revive: revival('auxk'),
    ...auxk.fixed,
  },
  terms: [auxk.term],
  coefficients: ({ auxk_alpha, k }) => [auxk_alpha, 0, 0, k],
  penalty: () => noPenalty,
  defaults: auxkDefaults,
  pre_bias: true,
  selection: (options) => ({ topk: options.k, ...rescaling(options) }),
  coding: 'topk',
  check(options, model) {
    checkAuxk(options, model);
    checkRescale(options, model);
  },
});
