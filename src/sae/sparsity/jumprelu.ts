import { ConfigError } from '../errors.js';
import { choice, number, option, positiveF32 } from '../options.js';
import {
  encoderInit,
  learningRate,
  reconstruction,
  revival,
  sparsity,
  sparsityLambda,
  sparsityWarmup,
} from './sparsity.js';

/** How L0 is penalised. */
const l0Losses = ['linear', 'quadratic', 'tanh'] as const;

/**
 * JumpReLU (Rajamanoharan et al., 2024): z = pre [pre > threshold], with a threshold for each latent that is trained, as it
 * is and not as its logarithm; below 0 it acts as 0, without a gradient. With H the step function, K(u) = 1 for |u| < 1/2,
 * n a latent's decoder norm and means over rows, the penalty is sparsity_lambda times
 *
 * - linear: the sum over latents of mean H(pre - threshold), that is L0 (the paper's equation 9; SAELens calls it step),
 * - quadratic: (L0 / l0_target - 1)^2 (dictionary_learning's),
 * - tanh: the sum over latents of mean tanh(4 z n) (Anthropic's update of January 2025).
 *
 * To it pre_act_lambda adds the sum over dead latents of n mean relu(threshold - pre), which revives them: this one's
 * gradient goes to the threshold, the pre-activation and, through n, to the decoder.
 *
 * With narrow windows and a penalty linear in L0, thresholds hardly move within some thousand steps: the defaults are those of
 * the update of January 2025.
 *
 * Straight-through gradients, of the width `bandwidth`, reach thresholds alone: of z -(threshold / bandwidth)
 * K((pre - threshold) / bandwidth), of H -(1 / bandwidth) K(same). The gradient of z by pre is H, that of H by pre is 0.
 */
export const jumprelu = sparsity({
  summary: 'latents above a trained threshold each',
  live: {
    lr: learningRate(1e-3),
    sparsity_lambda: sparsityLambda(0.5, [1e-3, 100]),
    pre_act_lambda: option(number('pre_act_lambda', 'of at least 0', (value) => value >= 0).default(0), {
      description: 'weight of what pulls the pre-activations of dead latents to their thresholds',
      label: 'Weight of dead pre-activations',
      slider: [1e-6, 1],
    }),
  },
  fixed: {
    sparsity_warmup: sparsityWarmup,
    l0_loss: option(choice('l0_loss', l0Losses).default('tanh'), {
      description: 'how the number of active latents is penalised: linear, quadratic about l0_target, tanh',
      label: 'Penalty on L0',
    }),
    l0_target: option(positiveF32('l0_target').optional(), {
      description: 'active latents a row that l0_loss quadratic aims at',
      label: 'Target of L0',
    }),
    bandwidth: option(positiveF32('bandwidth').default(2), {
      description: 'width of the window about a threshold in which latents give it a gradient',
      label: 'Bandwidth',
    }),
    threshold_init: option(number('threshold_init', 'of at least 0', (value) => value >= 0).default(0.1), {
      description: 'thresholds at the beginning',
      label: 'Initial threshold',
    }),
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('decoder_transpose'),
    revive: revival('none'),
  },
  terms: [
    { name: 'l0_loss', weight: 'sparsity_lambda' },
    { name: 'pre_act', weight: 'pre_act_lambda' },
    { name: 'threshold' },
  ],
  coefficients: ({ sparsity_lambda, pre_act_lambda, l0_target = 1 }) => [
    sparsity_lambda,
    pre_act_lambda,
    0,
    l0_target,
  ],
  penalty: ({ l0_loss }) => ({
    statistics: 'sparsity/jumprelu.wgsl',
    // Its gradient is in the kernels that take the whole gradient back to the pre-activations.
    gradient: 'sparsity/no_penalty_gradient.wgsl',
    decoder: 'sparsity/decoder_penalty.wgsl',
    perLatent: ['decoder_norms', 'decoder_factors'],
    ...(l0_loss === 'quadratic' && { terms: 'sparsity/quadratic_sums.wgsl' }),
  }),
  pre_bias: true,
  selection: () => ({ threshold: 'each' }),
  coding: 'jumprelu',
  threshold: ({ threshold_init }) => threshold_init,
  check({ l0_loss, l0_target }, model) {
    const latents = model?.h_dims.at(-1);
    if (l0_loss === 'quadratic' && l0_target === undefined) {
      throw new ConfigError('l0_loss quadratic needs l0_target, the number of active latents to aim at.');
    }
    if (l0_loss !== 'quadratic' && l0_target !== undefined) {
      throw new ConfigError(
        `l0_target is an option of l0_loss quadratic, and l0_loss is ${l0_loss}. Leave it out.`,
      );
    }
    if (latents !== undefined && l0_target !== undefined && l0_target > latents) {
      throw new ConfigError(
        `l0_target must be at most ${latents}, the number of latents, and is ${l0_target}.`,
      );
    }
  },
});
