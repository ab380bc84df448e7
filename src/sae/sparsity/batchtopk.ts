import { ConfigError } from '../errors.js';
import { number, option } from '../options.js';
import { encoderInit, reconstruction, sparsity } from './sparsity.js';

/**
 * In training the k * rows largest latents of a batch stay, whichever rows they are in, and the others are 0 (Bussmann et
 * al., 2024); of equal ones the first of the batch. The gradient goes to the selected latents alone. The smallest that
 * stays is followed by a running mean, and the trained model keeps what is above that threshold: so a row's code does not
 * depend on the other rows.
 */
export const batchtopk = sparsity({
  summary: 'the k largest latents a row of a batch, on average',
  live: {},
  fixed: {
    k: option(number('k', 'above 0', (value) => value > 0).default(8), {
      description: 'latents of a row that stay in its code, at most; batchtopk: on average over a batch',
      label: 'Latents a row',
    }),
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('decoder_transpose'),
  },
  terms: [{ name: 'threshold' }],
  // 0 is the weight of the threshold, which is in no loss.
  coefficients: ({ k }, rows) => [0, Math.floor(k * rows)],
  penalty: () => ({
    statistics: 'sparsity/shared_threshold.wgsl',
    gradient: 'sparsity/no_penalty_gradient.wgsl',
    perLatent: [],
  }),
  selection: () => ({ threshold: 'shared' }),
  coding: 'batchtopk',
  check(options, latents) {
    const { k, batch_size = 1 } = options as typeof options & { readonly batch_size?: number };
    if (k * batch_size < 1) {
      throw new ConfigError(
        `k is ${k} and batch_size ${batch_size}: no latent would stay. k * batch_size must be at least 1.`,
      );
    }
    if (latents !== undefined && k > latents) {
      throw new ConfigError(`k must be at most ${latents}, the number of latents, and is ${k}.`);
    }
  },
});
