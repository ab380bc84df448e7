import { number, option } from '../options.js';
import {
  encoderInit,
  learningRate,
  reconstruction,
  revival,
  sparsity,
  sparsityLambda,
  sparsityWarmup,
} from './sparsity.js';

/**
 * The KL divergence of each latent's mean activation over the batch from a target, summed over the latents: the penalty
 * of the original program (see sparsity/kl.wgsl), whose formula is the cross entropy. `kl` is 0 if every latent's mean
 * is the target; the loss contains the constant by which the cross entropy exceeds it.
 */
export const kl = sparsity({
  summary: 'KL divergence of the mean activations from a target',
  live: {
    lr: learningRate(1e-4),
    sparsity_lambda: sparsityLambda(0.2, [0.001, 5]),
    sparsity_target: option(
      number('sparsity_target', 'between 0 and 0.99', (value) => value > 0 && value < 0.99).default(0.01),
      {
        description: 'target for the mean activation of each latent, between 0 and 0.99',
        label: 'Sparsity target',
        slider: [0.001, 0.9],
      },
    ),
  },
  fixed: {
    sparsity_warmup: sparsityWarmup,
    reconstruction: reconstruction('mean'),
    encoder_init: encoderInit('random'),
    revive: revival('none'),
  },
  terms: [
    {
      name: 'kl',
      weight: 'sparsity_lambda',
      offset: ({ sparsity_target }, latents) => {
        const target = sparsity_target + 1e-8;
        return latents * (-target * Math.log(target) - (1 - target) * Math.log(1 - target));
      },
    },
  ],
  coefficients: ({ sparsity_lambda, sparsity_target }) => [sparsity_lambda, sparsity_target],
  penalty: () => ({
    statistics: 'sparsity/kl.wgsl',
    gradient: 'sparsity/penalty_gradient.wgsl',
    perLatent: ['penalty_gradients'],
  }),
});
