import { flag, option } from '../options.js';
import {
  encoderInit,
  learningRate,
  neededWarmup,
  reconstruction,
  revival,
  sparsity,
  sparsityLambda,
} from './sparsity.js';

/**
 * The mean over rows of the sum of a row's latents, each weighted by the norm of its decoder direction or not. Weighted
 * it is that of Anthropic's update of April 2024, as in SAELens and dictionary_learning, for decoders without a
 * constraint on norms. Not weighted, small latents with long directions evade it. With several layers the direction is
 * a latent's weights in the first decoder layer. Its gradient goes to the code and, if weighted, to these weights too.
 */
export const l1 = sparsity({
  summary: 'sum of the latents',
  live: {
    lr: learningRate(1e-3),
    sparsity_lambda: sparsityLambda(4, [1e-3, 100]),
  },
  fixed: {
    sparsity_warmup: neededWarmup,
    l1_weighted: option(flag('l1_weighted').default(true), {
      description: 'weight each latent by the norm of its decoder direction',
      label: 'Weighted by decoder norm',
    }),
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('decoder_transpose'),
    revive: revival('none'),
  },
  pre_bias: true,
  terms: [{ name: 'l1', weight: 'sparsity_lambda' }],
  coefficients: ({ sparsity_lambda }) => [sparsity_lambda],
  penalty: ({ l1_weighted }) =>
    l1_weighted
      ? {
          statistics: 'sparsity/l1_weighted.wgsl',
          gradient: 'sparsity/penalty_gradient.wgsl',
          decoder: 'sparsity/decoder_penalty.wgsl',
          perLatent: ['penalty_gradients', 'decoder_factors'],
        }
      : {
          statistics: 'sparsity/l1.wgsl',
          gradient: 'sparsity/penalty_gradient.wgsl',
          perLatent: ['penalty_gradients'],
        },
});
