import { auxk, auxkDefaults } from './auxk.js';
import { checkK, kDecay, meanK } from './k.js';
import { checkRescale, rescale, rescaling } from './rescale.js';
import { encoderInit, learningRate, noPenalty, reconstruction, revival, sparsity } from './sparsity.js';

/**
 * In training the k * rows largest latents of a batch stay, whichever rows they are in, and the others are 0 (Bussmann et
 * al., 2024); of equal ones the first of the batch. The gradient goes to the selected latents alone. The smallest that
 * stays is followed by a running mean, and the trained model keeps what is above that threshold: so a row's code does not
 * depend on the other rows.
 */
export const batchtopk = sparsity({
  summary: 'the k largest latents a row of a batch, on average',
  live: { lr: learningRate(1e-3), ...auxk.live },
  fixed: {
    k: meanK,
    k_decay: kDecay,
    rescale_acts_by_decoder_norm: rescale,
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('decoder_transpose'),
    revive: revival('auxk'),
    ...auxk.fixed,
  },
  terms: [auxk.term, { name: 'threshold' }],
  coefficients: ({ auxk_alpha, k }, rows) => [auxk_alpha, 0, 0, Math.floor(k * rows)],
  penalty: () => ({ ...noPenalty, terms: 'sparsity/threshold_term.wgsl' }),
  defaults: auxkDefaults,
  pre_bias: true,
  selection: (options) => ({ threshold: 'shared', ...rescaling(options) }),
  coding: 'batchtopk',
  check(options, model) {
    checkK(options, model);
    checkRescale(options, model);
  },
});
