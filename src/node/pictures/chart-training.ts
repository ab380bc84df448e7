import type { SparsityName } from '../../sae/sparsity/index.js';
import type { EpochMetrics } from '../../sae/training/metrics.js';

/**
 * What a chart needs besides the epochs: the kind of sparsity, and the options that are the weights of its terms.
 * In a file of its own, so that this package's types do not need the chart library's.
 */
export interface ChartTraining {
  readonly sparsity: SparsityName;
  /** How the loss counts a row's squared errors; `mean` by default. */
  readonly reconstruction?: 'mean' | 'sum' | 'fvu';
}

/** An epoch as a loss chart takes it, with its terms by name: also one of a metrics.jsonl that an earlier version wrote. */
export type ChartEpoch = Pick<EpochMetrics<SparsityName>, 'epoch' | 'loss' | 'mse'>;
