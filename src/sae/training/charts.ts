import type { SparsityName } from '../sparsity/index.js';
import { type LossCurve, lossCurves } from './loss-curves.js';
import type { EpochMetrics } from './metrics.js';

/** A chart of curves by epoch. */
export interface Chart {
  readonly name: string;
  readonly curves: readonly LossCurve[];
  /** The ends of a logarithmic axis; a linear one begins at 0. */
  readonly range?: readonly [number, number];
}

/**
 * The charts of a training: the loss and its parts, the explained variance, L0, and dead and dense latents.
 * @param training its configuration, which has the weights of the loss's terms.
 */
export function trainingCharts(
  epochs: readonly EpochMetrics<SparsityName>[],
  training: { readonly sparsity: SparsityName },
): Chart[] {
  if (epochs.length === 0) return [];
  const points = epochs.map((epoch) => ({ ...training, ...epoch }));
  const { curves, logarithmic, range } = lossCurves(points, ({ epoch }) => epoch, training.sparsity);
  const curve = (
    name: string,
    dash: LossCurve['dash'],
    value: (epoch: EpochMetrics<SparsityName>) => number,
  ): LossCurve => ({ name, dash, data: epochs.map((epoch) => [epoch.epoch, value(epoch)]) });
  return [
    { name: 'Loss', curves, ...(logarithmic && { range }) },
    {
      name: 'Explained variance',
      curves: [curve('explained variance', 'solid', ({ explained_variance }) => explained_variance)],
    },
    { name: 'Active latents of a row (L0)', curves: [curve('L0', 'solid', ({ active }) => active)] },
    {
      name: 'Dead and dense latents',
      curves: [curve('dead', 'solid', ({ dead }) => dead), curve('dense', 'dashed', ({ dense }) => dense)],
    },
  ];
}
