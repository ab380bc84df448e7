import type { LiveSettings, TrainConfig } from '../config.js';
import { denseAbove } from '../model/activity.js';
import type { Model } from '../model/model.js';
import { type SparsityName, sparsityOf, type TermValues } from '../sparsity/index.js';
import type { StepFigures } from '../step/step-log.js';

/** The figures that do not depend on the kind of sparsity. Metrics also have its terms, by name and unweighted. */
export interface LossFigures {
  /**
   * What is minimised: mse, times in_dims where `reconstruction` is `sum`, and where it is `fvu` the fraction of each batch's variance
   * that its reconstruction leaves, + the weighted terms with their constants; mean over batches.
   */
  readonly loss: number;
  /** Mean over rows and inputs of the squared error, in normalised units. */
  readonly mse: number;
  /**
   * R²: 1 - sum of squared errors / sum of squared distances from each value's mean over the data, so 1 is perfect, and 0
   * what the mean row is worth. If all rows are equal: 1 without an error, else 0. With rows that are read in blocks, the
   * first epoch knows the data up to the current block.
   */
  readonly explained_variance: number;
  /** L0: mean number of active latents of a row, above 0 for ReLU and above 0.5 for sigmoid. */
  readonly active: number;
}

/** The metrics of one pass over rows, with each term of the loss by its name, such as `kl`. */
export type Metrics<S extends SparsityName = 'kl'> = LossFigures & {
  /** Dead latents: active for no row. */
  readonly dead: number;
  /** Dense latents: active for more than a tenth of the rows. */
  readonly dense: number;
} & TermValues<S>;

/** The metrics of one epoch of training: over the rows so far, if the run ends within it. */
export type EpochMetrics<S extends SparsityName = 'kl'> = Metrics<S> & {
  /** Counts from 1. */
  readonly epoch: number;
  readonly samples_per_second: number;
  /** Seconds spent on training so far. */
  readonly seconds: number;
  /** That of the epoch's last step, if `lr` has a schedule. */
  readonly lr?: number;
  /** That of the epoch's last step, if `sparsity_lambda` has a schedule. */
  readonly sparsity_lambda?: number;
  /** That of the epoch's last step, if `k` has a schedule. */
  readonly k?: number;
};

/**
 * The metrics of one step of training: those of its batch before the update, and the settings it was done with, by their
 * schedules.
 */
export type StepMetrics<S extends SparsityName = 'kl'> = LossFigures &
  TermValues<S> &
  LiveSettings<S> & {
    /** Counts from 1, over all epochs. */
    readonly step: number;
    /** Counts from 1. */
    readonly epoch: number;
  };

/** The terms of a kind by their names. */
export function namedTerms(sparsity: SparsityName, values: ArrayLike<number>): Record<string, number> {
  return Object.fromEntries(sparsityOf(sparsity).terms.map(({ name }, i) => [name, values[i]]));
}

/**
 * A step's loss: its reconstruction error, a row's mean or sum or a fraction of the batch's variance, and the weighted terms with their offsets.
 * @param config with the settings of that step.
 */
export function lossOf(
  { rows, mse, divisor, terms: values }: Pick<StepFigures, 'rows' | 'mse' | 'divisor' | 'terms'>,
  config: TrainConfig<SparsityName>,
  { hidden, config: { in_dims } }: Pick<Model, 'hidden' | 'config'>,
): number {
  const { terms, coefficients } = sparsityOf(config.sparsity);
  const weights = coefficients(config, rows);
  const errors = { mean: mse, sum: mse * in_dims, fvu: (mse * in_dims) / divisor };
  return terms.reduce((sum, { weight, offset }, i) => {
    return weight ? sum + weights[i] * (values[i] + (offset?.(config as never, hidden) ?? 0)) : sum;
  }, errors[config.reconstruction]);
}

/**
 * The share of the data's variance that a reconstruction explains.
 * @param mse mean over rows and values. @param variance the same of the distances from each value's mean.
 */
export function explainedVariance(mse: number, variance: number): number {
  return variance > 0 ? 1 - mse / variance : Number(mse === 0);
}

/** The sums over the steps of a pass so far, in double. */
export interface PassSums {
  readonly steps: number;
  readonly rows: number;
  readonly loss: number;
  readonly mse: number;
  /** The mean squared errors of all rows. */
  readonly squared_error: number;
  /** The unweighted terms. */
  readonly terms: readonly number[];
  readonly active: number;
}

export const noSums: PassSums = {
  steps: 0,
  rows: 0,
  loss: 0,
  mse: 0,
  squared_error: 0,
  terms: [0, 0, 0, 0],
  active: 0,
};

/** The sums with some more steps. @param losses of each of them, since their weights may differ. */
export function addSteps(
  sums: PassSums,
  figures: readonly StepFigures[],
  losses: readonly number[],
): PassSums {
  let { steps, rows, loss, mse, squared_error, active } = sums;
  const terms = [...sums.terms];
  for (const [i, step] of figures.entries()) {
    steps += 1;
    rows += step.rows;
    loss += losses[i];
    mse += step.mse;
    squared_error += step.mse * step.rows;
    active += step.active;
    for (let j = 0; j < terms.length; j++) {
      terms[j] += step.terms[j];
    }
  }
  return { steps, rows, loss, mse, squared_error, terms, active };
}

/**
 * A pass's metrics: means over batches, as in the original program; `active` and `explained_variance` are of rows.
 * @param rowsActive for each latent, in how many rows it was active. @param variance of the data's rows.
 */
export function summarize<S extends SparsityName>(
  sparsity: S,
  { steps, rows, loss, mse, squared_error, terms, active }: PassSums,
  rowsActive: Uint32Array,
  variance: number,
): Metrics<S> {
  const means = terms.map((sum) => sum / steps);
  const figures = {
    loss: loss / steps,
    mse: mse / steps,
    explained_variance: explainedVariance(squared_error / rows, variance),
    ...namedTerms(sparsity, means),
    active: active / rows,
    dead: rowsActive.filter((count) => count === 0).length,
    dense: rowsActive.filter((count) => count > denseAbove * rows).length,
  };
  return figures as unknown as Metrics<S>;
}
