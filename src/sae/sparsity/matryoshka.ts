import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { expected, option, whole } from '../options.js';
import { auxk, auxkDefaults } from './auxk.js';
import { checkK, kDecay, meanK } from './k.js';
import { checkRescale, rescale, rescaling } from './rescale.js';
import {
  checkLists,
  encoderInit,
  learningRate,
  noPenalty,
  reconstruction,
  revival,
  sparsity,
} from './sparsity.js';

const list = expected('matryoshka must be a list of rising numbers of latents, such as [256, 1024, 4096]');

/**
 * Matryoshka (Bussmann et al., 2025): latents are selected as for `batchtopk`, once, and the first w of them
 * reconstruct the row by themselves, for each of some widths w. The loss is the sum of these reconstructions' errors, of
 * which `inner` has those of all widths but the last, which is that of all latents; each has the output's bias.
 */
export const matryoshka = sparsity({
  summary: 'batchtopk, with reconstructions by the first latents alone as well',
  live: { lr: learningRate(1e-3), ...auxk.live },
  fixed: {
    k: meanK,
    k_decay: kDecay,
    rescale_acts_by_decoder_norm: rescale,
    matryoshka: option(
      z
        .array(whole('each of matryoshka', 1), list)
        .min(1, list)
        .max(16, expected('matryoshka must have at most 16 widths'))
        .refine((widths) => widths.every((width, i) => i === 0 || width > widths[i - 1]), list)
        .optional(),
      {
        description:
          'numbers of first latents that reconstruct the row by themselves, in quotes (default: an eighth, a quarter, half, all)',
        label: 'Nested widths',
      },
    ),
    reconstruction: reconstruction('sum'),
    encoder_init: encoderInit('decoder_transpose'),
    revive: revival('auxk'),
    ...auxk.fixed,
  },
  terms: [auxk.term, { name: 'threshold' }, { name: 'inner', weight: 1 }],
  coefficients: ({ auxk_alpha, k }, rows) => [auxk_alpha, 0, 1, Math.floor(k * rows)],
  penalty: () => ({ ...noPenalty, terms: 'sparsity/threshold_term.wgsl' }),
  defaults: auxkDefaults,
  pre_bias: true,
  selection: (options) => ({ threshold: 'shared', ...rescaling(options) }),
  check(options, model) {
    checkK(options, model);
    checkRescale(options, model);
    checkLists('sparsity matryoshka', model);
    const latents = model?.h_dims.at(-1);
    const widest = options.matryoshka?.at(-1) ?? 1;
    if (latents !== undefined && widest > latents) {
      throw new ConfigError(
        `matryoshka has the width ${widest}, and the model has ${latents} latents. Leave out what is wider.`,
      );
    }
  },
});

/** The widths of a model of so many latents: all of them is always the last. */
export function nestedWidths(
  { matryoshka: widths }: { readonly matryoshka?: readonly number[] | undefined },
  latents: number,
): number[] {
  const given = widths ?? [8, 4, 2].map((part) => Math.floor(latents / part)).filter((width) => width > 0);
  const rising = [...new Set(given)];
  return rising.at(-1) === latents ? rising : [...rising, latents];
}
