import type { TrainConfig } from './config.js';
import type { StepLog } from './step-log.js';

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
  /** Spent on training so far. */
  readonly seconds: number;
}

/** What can be changed while a model is trained. */
export const liveSettings = ['lr', 'sparsity_lambda', 'sparsity_target'] as const;
export type LiveSettings = Pick<TrainConfig, (typeof liveSettings)[number]>;

/** One step of training: what its batch gave before the update, and the settings that it was done with. */
export interface StepMetrics extends Omit<Metrics, 'dead'>, LiveSettings {
  /** Counts from 1, over all epochs. */
  readonly step: number;
  /** Counts from 1. */
  readonly epoch: number;
}

type Penalty = Pick<LiveSettings, 'sparsity_lambda' | 'sparsity_target'>;

/** sparsity_lambda times the original's penalty for `hidden` units: the divergence plus a constant without gradient. */
export function penaltyOf(kl: number, hidden: number, { sparsity_lambda, sparsity_target }: Penalty): number {
  const target = sparsity_target + 1e-8;
  const entropy = -target * Math.log(target) - (1 - target) * Math.log(1 - target);
  return sparsity_lambda * (kl + hidden * entropy);
}

/** The penalty of the steps of a pass from one on. */
export interface Period extends Penalty {
  readonly from: number;
}

/**
 * A pass's metrics: means over batches, as the original's; `active` is a mean over rows. Summed in double.
 * @param log the last one of a pass.
 * @param periods of the pass, in order; the first one from step 0 on.
 */
export function summarize(log: StepLog, periods: readonly Period[], rows: number, hidden: number): Metrics {
  const sum = (value: (step: number) => number, from = 0, end = log.end) => {
    let total = 0;
    for (let i = from; i < end; i++) {
      total += value(i);
    }
    return total;
  };
  const mse = sum(log.mse) / log.end;
  const penalties = periods.map((period, i) => {
    const end = periods[i + 1]?.from ?? log.end;
    const steps = end - period.from;
    return (steps / log.end) * penaltyOf(sum(log.kl, period.from, end) / steps, hidden, period);
  });
  return {
    loss: penalties.reduce((total, penalty) => total + penalty, mse),
    mse,
    kl: sum(log.kl) / log.end,
    active: sum(log.active) / rows,
    dead: log.dead ?? 0,
  };
}
