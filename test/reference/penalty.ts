/** A kind of sparsity with its options, of which each takes what it has. */
export interface SparsityConfig {
  /** `kl` where it is not given. */
  readonly sparsity?: string;
  readonly sparsity_lambda?: number;
  readonly sparsity_target?: number;
  readonly l1_weighted?: boolean;
  readonly k?: number;
  /** `mean` where it is not given. */
  readonly reconstruction?: 'mean' | 'sum';
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
) => Penalty;
