import { ConfigError } from '../errors.js';
import { number, type OptionFacts, option, whole } from '../options.js';
import { type AuxkOptions, checkAuxk } from './auxk.js';
import type { ModelShape } from './sparsity.js';

/** What is said of k. */
const kFacts: OptionFacts = {
  description: 'latents of a row that stay in its code, at most; of a batch: on average',
  label: 'Latents a row',
};

/** The number of latents of each row that stay. */
export const rowK = option(whole('k', 1).default(8), kFacts);

/** The same for kinds in which it is a mean over a batch. */
export const meanK = option(number('k', 'above 0', (value) => value > 0).default(8), kFacts);

/** For every kind with a `k`. */
export const kDecay = option(whole('k_decay', 0).default(0), {
  description:
    'steps over which k falls linearly to its value, from in_dims or, if they are fewer, all latents',
  label: 'Decay of k',
});

/** The sizes of a model, on which the start of k depends. */
export interface Sizes {
  readonly in_dims: number;
  readonly h_dims: readonly number[];
}

/** k with its decay. */
interface DecayingK {
  readonly k: number;
  readonly k_decay: number;
}

/**
 * How many latents of a row stay at step n, from 0, with a decay of d steps: start (1 - n / d) + k n / d, rounded down to a whole
 * number but never below k, and k from n = d on. The start is the number of a row's values, of which as many directions can make
 * any row, or that of all latents, if they are fewer.
 *
 * So it is with dictionary_learning's `k_anneal_steps`, which are a step behind, after a first step with k itself. sparsify's
 * `k_decay_steps` begin with ten times as many, where there are so many latents, and round to the nearest.
 */
export function kAt(step: number, { k, k_decay }: DecayingK, { in_dims, h_dims }: Sizes): number {
  if (step >= k_decay) {
    return k;
  }
  const start = Math.min(in_dims, h_dims[h_dims.length - 1]);
  const share = step / k_decay;
  return Math.max(k, Math.floor(start * (1 - share) + k * share));
}

/** Checks k, a mean over a batch, and the options of AuxK. @throws ConfigError. */
export function checkK(
  options: AuxkOptions & { readonly k: number; readonly batch_size?: number },
  model: ModelShape | undefined,
): void {
  checkAuxk(options, model);
  const { k, batch_size = 1 } = options;
  const latents = model?.h_dims.at(-1);
  if (k * batch_size < 1) {
    throw new ConfigError(
      `k is ${k} and batch_size ${batch_size}: no latent would stay. k * batch_size must be at least 1.`,
    );
  }
  if (latents !== undefined && k > latents) {
    throw new ConfigError(`k must be at most ${latents}, the number of latents, and is ${k}.`);
  }
}
