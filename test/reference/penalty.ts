import { columnMeans } from './column-means.js';

/** A kind of sparsity with its options, of which each takes what it has. */
export interface SparsityConfig {
  /** `kl` where it is not given. */
  readonly sparsity?: string;
  readonly sparsity_lambda?: number;
  readonly sparsity_target?: number;
  readonly l1_weighted?: boolean;
  readonly k?: number;
  readonly rescale_acts_by_decoder_norm?: boolean;
  readonly revive?: string;
  readonly auxk_alpha?: number;
  readonly auxk_k?: number | undefined;
  /** `dictionary_learning` where it is not given. */
  readonly auxk_loss?: 'dictionary_learning' | 'openai' | 'saelens' | 'sparsify';
  readonly matryoshka?: readonly number[] | undefined;
  readonly pre_act_lambda?: number;
  readonly l0_loss?: 'linear' | 'quadratic' | 'tanh';
  readonly l0_target?: number | undefined;
  readonly bandwidth?: number;
  /** `mean` where it is not given. */
  readonly reconstruction?: 'mean' | 'sum' | 'fvu';
}

/** What the squared errors of a row of x [rows, in_dims] are divided by in the loss: for `fvu` the mean squared distance of rows from their mean. */
export function divisorOf(
  reconstruction: SparsityConfig['reconstruction'],
  x: Float64Array,
  in_dims: number,
): number {
  if (reconstruction !== 'fvu') return reconstruction === 'sum' ? 1 : in_dims;
  const rows = x.length / in_dims;
  const means = columnMeans(x, rows, in_dims);
  return x.reduce((sum, value, i) => sum + (value - means[i % in_dims]) ** 2, 0) / rows;
}

/** What the sparsity of one batch adds to the loss and its gradient. */
export interface Penalty {
  /** In the loss: the weighted terms with their constants. */
  readonly value: number;
  /** Unweighted, as metrics have them. */
  readonly terms: Readonly<Record<string, number>>;
  /** d value / d code, [rows, latents]. */
  readonly code: Float64Array;
  /** d value / d the weight of the first decoder layer, [outputs, latents], where it is in the penalty by itself. */
  readonly decoder?: Float64Array;
  /** d value / d pre-activations, [rows, latents], beside what comes through the code. */
  readonly pre?: Float64Array;
  /** d value / d thresholds, [latents], beside what comes through the code. */
  readonly threshold?: Float64Array;
  /** d value / d the output's bias, [in_dims]. */
  readonly bias?: Float64Array;
}

/** What a code was made of, and what was made of it. */
export interface MadeCode {
  /** [rows, latents]: after the activation, if the kind has one. */
  readonly pre: Float64Array;
  /** The same before the activation. */
  readonly signed: Float64Array;
  /** By which they are multiplied before they are selected, [latents]. */
  readonly norms: Float64Array;
  /** [latents]. */
  readonly thresholds: Float64Array;
  /** Of each latent, whether it counts as dead. */
  readonly dead: readonly boolean[];
  /** The rows and their reconstruction, [rows, in_dims], with the output's bias, [in_dims]. */
  readonly x: Float64Array;
  readonly output: Float64Array;
  readonly bias: Float64Array;
  readonly in_dims: number;
}

/**
 * The penalty on a code.
 * @param decoder the weight of the first decoder layer, [outputs, latents].
 */
export type PenaltyOf = (
  config: SparsityConfig,
  code: Float64Array,
  rows: number,
  decoder: Float64Array,
  made?: MadeCode,
) => Penalty;
