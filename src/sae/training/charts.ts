import type { SparsityName } from '../sparsity/index.js';
import { type LossCurve, lossCurves } from './loss-curves.js';
import type { LossPoint } from './loss-history.js';
import type { EpochMetrics } from './metrics.js';

/** A chart of curves by epoch or step. */
export interface Chart {
  readonly name: string;
  readonly by: 'epoch' | 'step';
  readonly curves: readonly LossCurve[];
  /** The ends of a logarithmic axis; a linear one begins at 0. */
  readonly range?: readonly [number, number];
}

/**
 * The charts of a training: the loss and its parts, the explained variance, L0 and, where points are epochs, dead and dense latents.
 * @param training its configuration, which has the weights of the loss's terms.
 */
export function trainingCharts(
  points: readonly (EpochMetrics<SparsityName> | LossPoint<SparsityName>)[],
  training: { readonly sparsity: SparsityName },
): Chart[] {
  if (points.length === 0) return [];
  const by = 'steps' in points[0] ? 'step' : 'epoch';
  const place = (point: (typeof points)[number]) => ('step' in point ? point.step : point.epoch);
  const { curves, logarithmic, range } = lossCurves(
    points.map((point) => ({ ...training, ...point, place: place(point) })),
    (point) => point.place,
    training.sparsity,
  );
  const curve = (
    name: string,
    dash: LossCurve['dash'],
    value: (point: (typeof points)[number]) => number,
  ): LossCurve => ({ name, dash, data: points.map((point) => [place(point), value(point)]) });
  const charts: Chart[] = [
    { name: 'Loss', by, curves, ...(logarithmic && { range }) },
    {
      name: 'Explained variance',
      by,
      curves: [curve('explained variance', 'solid', ({ explained_variance }) => explained_variance)],
    },
    { name: 'Active latents of a row (L0)', by, curves: [curve('L0', 'solid', ({ active }) => active)] },
  ];
  if (by === 'step') return charts;
  const counted = (name: 'dead' | 'dense', dash: LossCurve['dash']) =>
    curve(name, dash, (point) => ('dead' in point ? point[name] : Number.NaN));
  return [
    ...charts,
    { name: 'Dead and dense latents', by, curves: [counted('dead', 'solid'), counted('dense', 'dashed')] },
  ];
}
