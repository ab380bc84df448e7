import type { StepMetrics } from './metrics.js';

/** A curve of a loss chart. */
export interface LossCurve {
  readonly name: 'loss' | 'mse' | 'sparsity_lambda * kl';
  /** Tells the curves apart without colours. */
  readonly dash: 'solid' | 'dashed' | 'dotted';
  readonly data: readonly (readonly [x: number, y: number])[];
}

/** The curves of a loss chart, and the axis that shows them. */
export interface LossCurves {
  readonly curves: readonly [loss: LossCurve, mse: LossCurve, penalty: LossCurve];
  /** Whether a linear axis, which begins at 0, would hide the ends of the curves. */
  readonly logarithmic: boolean;
  /** The powers of ten that a logarithmic axis begins and ends with. */
  readonly range: readonly [number, number];
}

type Values = Pick<StepMetrics, 'loss' | 'mse' | 'kl' | 'sparsity_lambda'>;

/** What the divergence adds to a step's gradient, as the charts show it. */
export function weightedKl({ sparsity_lambda, kl }: Pick<Values, 'kl' | 'sparsity_lambda'>): number {
  return sparsity_lambda * kl;
}

/** From this ratio on between the largest and the smallest of loss and mse, a linear axis would hide the latter. */
const logarithmicFrom = 30;

/** The curves of `loss`, `mse` and `sparsity_lambda * kl`. @param x what they are drawn by, such as the epoch. */
export function lossCurves<T extends Values>(points: readonly T[], x: (point: T) => number): LossCurves {
  const curve = (name: LossCurve['name'], dash: LossCurve['dash'], y: (point: T) => number): LossCurve => {
    return { name, dash, data: points.map((point) => [x(point), y(point)]) };
  };
  const judged = points.flatMap(({ loss, mse }) => [loss, mse]).filter(Number.isFinite);
  const low = judged.reduce((a, b) => Math.min(a, b), Infinity);
  const high = judged.reduce((a, b) => Math.max(a, b), 0);
  // A penalty that goes to zero is followed for two decades, so that it does not squeeze the other curves.
  const last = points.findLast((point) => weightedKl(point) > 0);
  const lowest = Math.min(low, Math.max(low / 100, last ? weightedKl(last) : low));
  return {
    curves: [
      curve('loss', 'solid', ({ loss }) => loss),
      curve('mse', 'dashed', ({ mse }) => mse),
      curve('sparsity_lambda * kl', 'dotted', weightedKl),
    ],
    logarithmic: low > 0 && high / low >= logarithmicFrom,
    range: [10 ** Math.floor(Math.log10(lowest)), 10 ** Math.ceil(Math.log10(high))],
  };
}
