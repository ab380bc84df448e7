import { z } from 'zod';
import { expected, option, positiveF32 } from '../options.js';
import { optimizer } from './optimizer.js';

const betas = expected('adam_betas must be two numbers of at least 0 and below 1, such as 0.9,0.999');
const beta = z.number(betas).refine((value) => value >= 0 && value < 1, betas);

/**
 * Adam (Kingma and Ba, 2015) in PyTorch's form: bias-corrected, eps outside the square root, no weight decay. The
 * corrections, 1 - beta^t, are computed here in double: in f32 on a device the second would be off by 1e-4 at t = 1.
 */
export const adam = optimizer({
  summary: 'Adam',
  options: {
    adam_betas: option(z.tuple([beta, beta], betas).default([0.9, 0.999]), {
      description: "decay rates of Adam's two moments",
      label: "Adam's betas",
    }),
    adam_eps: option(positiveF32('adam_eps').default(1e-8), {
      description: 'added to the square root of the second moment, against division by 0',
      label: "Adam's eps",
    }),
  },
  files: ['optimizer/flush.wgsl', 'optimizer/adam.wgsl'],
  moments: 2,
  constants: ({ adam_betas: [beta1, beta2], adam_eps }) => ({
    adam_beta1: beta1,
    adam_beta2: beta2,
    adam_rest1: 1 - beta1,
    adam_rest2: 1 - beta2,
    adam_eps,
  }),
  rates: (lr, t, { adam_betas: [beta1, beta2] }) => [lr / (1 - beta1 ** t), 1 / Math.sqrt(1 - beta2 ** t)],
});
