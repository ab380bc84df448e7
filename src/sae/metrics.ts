/** What one pass over some rows gave. */
export interface Metrics {
  /** mse + sparsity_lambda * (kl + the constant that the original's penalty contains); mean over batches. */
  readonly loss: number;
  /** Mean over rows and inputs of the squared error, in normalised units. */
  readonly mse: number;
  /** KL divergence summed over the units of the last encoder layer, unweighted: 0 when every unit meets the target. */
  readonly kl: number;
  /** Mean count of active hidden units a sample: above 0 for ReLU, above 0.5 for sigmoid. */
  readonly active: number;
  /** Hidden units that were active for no row at all. */
  readonly dead: number;
}

/** One epoch of training. */
export interface EpochMetrics extends Metrics {
  /** Counts from 1. */
  readonly epoch: number;
  readonly samples_per_second: number;
  /** Since training began. */
  readonly seconds: number;
}
