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

/** The metrics of one epoch of training. */
export type EpochMetrics<S extends SparsityName = 'kl'> = Metrics<S> & {
  /** Counts from 1. */
  readonly epoch: number;
  readonly samples_per_second: number;
  /** Seconds spent on training so far. */
  readonly seconds: number;
};

/** The metrics of one step of training: those of its batch before the update, and the settings it was done with. */
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

/** The part of the loss that the reconstruction contributes. @param mse mean over rows and inputs. */
export function reconstructionOf(
  { reconstruction }: Pick<TrainConfig<SparsityName>, 'reconstruction'>,
  mse: number,
  in_dims: number,
): number {
  return reconstruction === 'sum' ? mse * in_dims : mse;
}

/** The part of the loss that the terms contribute, with weights and offsets. @param values of the terms, unweighted. */
export function penaltyOf(
  config: TrainConfig<SparsityName>,
  values: ArrayLike<number>,
  latents: number,
): number {
  const { terms, coefficients } = sparsityOf(config.sparsity);
  const weights = coefficients(config);
  return terms.reduce((sum, { offset }, i) => {
    return sum + weights[i] * (values[i] + (offset?.(config as never, latents) ?? 0));
  }, 0);
}

/** Consecutive steps with the same weights of the terms. */
interface Period {
  readonly config: TrainConfig<SparsityName>;
  readonly steps: number;
  /** Sums over them. */
  readonly terms: readonly number[];
}

/** The sums over the steps of a pass so far, in double. */
export interface PassSums {
  readonly steps: number;
  readonly rows: number;
  readonly mse: number;
  readonly active: number;
  readonly periods: readonly Period[];
}

export const noSums: PassSums = { steps: 0, rows: 0, mse: 0, active: 0, periods: [] };

/** The sums with some more steps, all of one configuration. */
export function addSteps(
  sums: PassSums,
  figures: readonly StepFigures[],
  config: TrainConfig<SparsityName>,
): PassSums {
  let { steps, rows, mse, active } = sums;
  const last = sums.periods.at(-1);
  const goesOn = last !== undefined && sameWeights(last.config, config);
  const terms = goesOn ? [...last.terms] : [0, 0, 0, 0];
  for (const step of figures) {
    steps += 1;
    rows += step.rows;
    mse += step.mse;
    active += step.active;
    for (let i = 0; i < terms.length; i++) {
      terms[i] += step.terms[i];
    }
  }
  const period = { config, steps: (goesOn ? last.steps : 0) + figures.length, terms };
  const periods = [...(goesOn ? sums.periods.slice(0, -1) : sums.periods), period];
  return { steps, rows, mse, active, periods };
}

function sameWeights(one: TrainConfig<SparsityName>, other: TrainConfig<SparsityName>): boolean {
  const { live } = sparsityOf(one.sparsity);
  return Object.keys(live).every((name) => one[name as 'lr'] === other[name as 'lr']);
}

/** A pass's metrics: means over batches, as in the original program; `active` is a mean over rows. */
export function summarize<S extends SparsityName>(
  { sparsity, reconstruction }: { readonly sparsity: S } & Pick<TrainConfig<SparsityName>, 'reconstruction'>,
  { steps, rows, mse, active, periods }: PassSums,
  { hidden, config: { in_dims } }: Pick<Model, 'hidden' | 'config'>,
  dead: number,
): Metrics<S> {
  const means = (terms: readonly number[], count: number) => terms.map((sum) => sum / count);
  const penalties = periods.map((period) => {
    return (period.steps / steps) * penaltyOf(period.config, means(period.terms, period.steps), hidden);
  });
  const terms = [0, 1, 2, 3].map((i) => periods.reduce((sum, period) => sum + period.terms[i], 0));
  const figures = {
    loss: penalties.reduce(
      (total, penalty) => total + penalty,
      reconstructionOf({ reconstruction }, mse / steps, in_dims),
    ),
    mse: mse / steps,
    ...namedTerms(sparsity, means(terms, steps)),
    active: active / rows,
    dead,
  };
  return figures as unknown as Metrics<S>;
}
