import type { LiveSettings, TrainConfig } from '../config.js';
import type { Model } from '../model/model.js';
import { type SparsityName, sparsityOf, type TermValues } from '../sparsity/index.js';
import type { StepFigures } from '../step/step-log.js';

/** The figures that do not depend on the kind of sparsity. Metrics also have its terms, by name and unweighted. */
interface LossFigures {
  /**
   * What is minimised: mse, times in_dims where `reconstruction` is `sum`, + the weighted terms with their constants;
   * mean over batches.
   */
  readonly loss: number;
  /** Mean over rows and inputs of the squared error, in normalised units. */
  readonly mse: number;
  /** L0: mean number of active latents of a row, above 0 for ReLU and above 0.5 for sigmoid. */
  readonly active: number;
}

/** The metrics of one pass over rows, with each term of the loss by its name, such as `kl`. */
export type Metrics<S extends SparsityName = 'kl'> = LossFigures & {
  /** Dead latents: active for no row. */
  readonly dead: number;
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
 * A step's loss: its reconstruction error, a row's mean or sum, and the weighted terms with their offsets.
 * @param config with the settings of that step.
 */
export function lossOf(
  { rows, mse, terms: values }: Pick<StepFigures, 'rows' | 'mse' | 'terms'>,
  config: TrainConfig<SparsityName>,
  { hidden, config: { in_dims } }: Pick<Model, 'hidden' | 'config'>,
): number {
  const { terms, coefficients } = sparsityOf(config.sparsity);
  const weights = coefficients(config, rows);
  const { reconstruction } = config;
  return terms.reduce(
    (sum, { weight, offset }, i) => {
      return weight ? sum + weights[i] * (values[i] + (offset?.(config as never, hidden) ?? 0)) : sum;
    },
    reconstruction === 'sum' ? mse * in_dims : mse,
  );
}

/** The sums over the steps of a pass so far, in double. */
export interface PassSums {
  readonly steps: number;
  readonly rows: number;
  readonly loss: number;
  readonly mse: number;
  /** The unweighted terms. */
  readonly terms: readonly number[];
  readonly active: number;
}

export const noSums: PassSums = { steps: 0, rows: 0, loss: 0, mse: 0, terms: [0, 0, 0, 0], active: 0 };

/** The sums with some more steps. @param losses of each of them, since their weights may differ. */
export function addSteps(
  sums: PassSums,
  figures: readonly StepFigures[],
  losses: readonly number[],
): PassSums {
  let { steps, rows, loss, mse, active } = sums;
  const terms = [...sums.terms];
  for (const [i, step] of figures.entries()) {
    steps += 1;
    rows += step.rows;
    loss += losses[i];
    mse += step.mse;
    active += step.active;
    for (let j = 0; j < terms.length; j++) {
      terms[j] += step.terms[j];
    }
  }
  return { steps, rows, loss, mse, terms, active };
}

/** A pass's metrics: means over batches, as in the original program; `active` is a mean over rows. */
export function summarize<S extends SparsityName>(
  sparsity: S,
  { steps, rows, loss, mse, terms, active }: PassSums,
  dead: number,
): Metrics<S> {
  const means = terms.map((sum) => sum / steps);
  const figures = {
    loss: loss / steps,
    mse: mse / steps,
    ...namedTerms(sparsity, means),
    active: active / rows,
    dead,
  };
  return figures as unknown as Metrics<S>;
}
