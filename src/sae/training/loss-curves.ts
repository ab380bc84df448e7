import type { TrainConfig } from '../config.js';
import { type SparsityName, sparsityOf } from '../sparsity/index.js';
import type { StepMetrics } from './metrics.js';

/** A curve of a loss chart. */
export interface LossCurve {
  /** `loss`, `mse`, or a weighted term such as `sparsity_lambda * kl`. */
  readonly name: string;
  /** Distinguishes the curves without colours. */
  readonly dash: 'solid' | 'dashed' | 'dotted';
  readonly data: readonly (readonly [x: number, y: number])[];
}

/** The curves of a loss chart, and the axis that shows them. */
export interface LossCurves {
  readonly curves: readonly [loss: LossCurve, mse: LossCurve, ...terms: LossCurve[]];
  /** Whether the axis should be logarithmic: a linear one, from 0, would hide the ends of the curves. */
  readonly logarithmic: boolean;
  /** The powers of ten at which a logarithmic axis begins and ends. */
  readonly range: readonly [number, number];
}

/** The axis on which the curves of several charts can be compared. */
export type LossAxis = Pick<LossCurves, 'logarithmic' | 'range'>;

/** Steps or epochs, which also have the terms of the loss and their weights by name. */
type Values = Pick<StepMetrics, 'loss' | 'mse'>;

/** A term of the loss, by its name or, if it is weighted, one such as `sparsity_lambda * kl`. */
export interface TermFigure {
  readonly name: string;
  readonly value: number;
}

/** The terms of a kind of sparsity, unweighted, as in the metrics. */
export function termFigures(sparsity: SparsityName, metrics: Values): TermFigure[] {
  const figures = metrics as unknown as Readonly<Record<string, number>>;
  return sparsityOf(sparsity).terms.map(({ name }) => ({ name, value: figures[name] }));
}

/**
 * These terms with their weights, without the constants that the loss contains.
 * @param values with the weights, as steps have them.
 */
export function weightedTerms(sparsity: SparsityName, values: Values): TermFigure[] {
  const figures = values as unknown as Readonly<Record<string, number>>;
  return weighted(sparsity).map(({ name, weight }) => {
    return weight === 1
      ? { name, value: figures[name] }
      : { name: `${weight} * ${name}`, value: figures[weight] * figures[name] };
  });
}

/**
 * What adds up to the loss: the reconstruction's error, the weighted terms and, where these have one, their constant.
 * @param values as for `weightedTerms`. @param sizes values of a row, and latents of the model.
 */
export function lossParts(
  config: TrainConfig<SparsityName>,
  values: Values,
  sizes: { readonly in_dims: number; readonly latents: number },
): TermFigure[] {
  const terms = weightedTerms(config.sparsity, values);
  const figures = values as unknown as Readonly<Record<string, number>>;
  const constants = sparsityOf(config.sparsity).terms.flatMap(({ name, weight, offset }) =>
    weight && offset
      ? [
          {
            name: `a constant of ${name}`,
            value: (weight === 1 ? 1 : figures[weight]) * offset(config as never, sizes.latents),
          },
        ]
      : [],
  );
  const others = [...terms, ...constants];
  const error = { mean: 'mse', sum: `${sizes.in_dims} * mse`, fvu: 'fvu' }[config.reconstruction];
  const value = values.loss - others.reduce((sum, part) => sum + part.value, 0);
  return [{ name: error, value }, ...others];
}

/** The terms that are in the loss. */
function weighted(sparsity: SparsityName): readonly { readonly name: string; readonly weight: string | 1 }[] {
  return sparsityOf(sparsity).terms.flatMap(({ name, weight }) => (weight ? [{ name, weight }] : []));
}

/** The ratio of the largest to the smallest of loss and mse from which on the axis is logarithmic. */
const logarithmicFrom = 30;

/**
 * The curves of `loss`, `mse` and each weighted term.
 * @param x a point's place on the x axis, such as the epoch.
 */
export function lossCurves<T extends Values>(
  points: readonly T[],
  x: (point: T) => number,
  sparsity: SparsityName = 'kl',
): LossCurves {
  const curve = (name: string, dash: LossCurve['dash'], y: (point: T) => number): LossCurve => {
    return { name, dash, data: points.map((point) => [x(point), y(point)]) };
  };
  const judged = points.flatMap(({ loss, mse }) => [loss, mse]).filter(Number.isFinite);
  const low = judged.reduce((a, b) => Math.min(a, b), Infinity);
  const high = judged.reduce((a, b) => Math.max(a, b), 0);
  // A term that goes to zero is shown for two decades below the others, so that it does not squeeze their curves.
  const lasts = weighted(sparsity).map((_, i) => {
    const last = points.findLast((point) => weightedTerms(sparsity, point)[i].value > 0);
    return last ? weightedTerms(sparsity, last)[i].value : low;
  });
  const lowest = Math.min(low, Math.max(low / 100, Math.min(low, ...lasts)));
  const terms = weighted(sparsity).map(({ name, weight }, i) =>
    curve(
      weight === 1 ? name : `${weight} * ${name}`,
      'dotted',
      (point) => weightedTerms(sparsity, point)[i].value,
    ),
  );
  return {
    curves: [curve('loss', 'solid', ({ loss }) => loss), curve('mse', 'dashed', ({ mse }) => mse), ...terms],
    logarithmic: low > 0 && high / low >= logarithmicFrom,
    range: [10 ** Math.floor(Math.log10(lowest)), 10 ** Math.ceil(Math.log10(high))],
  };
}

/**
 * An axis for the curves of several runs: logarithmic if one of theirs is or if they lie so far apart, and all can be shown on one, whose
 * values are above 0.
 */
export function sharedAxis(runs: readonly LossAxis[]): LossAxis {
  const range = [
    Math.min(...runs.map(({ range: [from] }) => from)),
    Math.max(...runs.map(({ range: [, to] }) => to)),
  ] as const;
  const [from, to] = range;
  const possible = from > 0 && Number.isFinite(to);
  return {
    logarithmic: possible && (runs.some(({ logarithmic }) => logarithmic) || to / from > 100),
    range,
  };
}

/** Some points of a curve, evenly spread by their number and with its last one, to be marked. */
export function markedPoints<T>(data: readonly T[], count: number): T[] {
  const marks = Math.min(count, data.length);
  return Array.from({ length: marks }, (_, i) => data[Math.ceil(((i + 1) * data.length) / marks) - 1]);
}
