import { Scope } from '../../../gpu/scope.js';
import { activeAbove } from '../../model/activity.js';
import { rowsAtATime } from '../../model/forward-pass.js';
import type { Model } from '../../model/model.js';
import { datasets } from '../../rows/blocks.js';
import { normalizedRows, sliceRows } from '../../rows/dataset.js';
import { RowMoments } from '../../rows/moments.js';
import { type RowSource, type Rows, rowSource } from '../../rows/source.js';
import { Probe } from '../probe.js';
import { type ActivityFigures, ActivitySums, type LatentFigures } from './activity.js';
import { ClassCounts, classesOf, type LabelPrediction } from './classes.js';
import { type Neighbours, nearestLatents } from './directions.js';
import { type Fidelity, FidelitySums, type OtherVariances } from './fidelity.js';
import { type ClassProbe, SparseProbes } from './sparse-probe.js';

/** Rows that are encoded at a time, at most: few enough to be quick on a software adapter. */
const mostRows = 256;
/** Latents of a sparse probe. */
const probeSizes = [1, 5] as const;
/** Directions with a larger cosine are counted as copies. */
const copyAbove = 0.9;

/** How good a model is on rows, and its latents. Figures are in the units in which the model takes rows: normalised. */
export interface Evaluation extends Fidelity, ActivityFigures {
  /** The explained variance as other libraries define it, if asked for. */
  readonly other_variances?: OtherVariances;
  readonly directions: Directions;
  readonly labels?: LabelFigures;
  /** [hidden]. */
  readonly latents: readonly EvaluatedLatent[];
}

/** How far apart decoder directions are: of each latent, the cosine to the nearest other. */
export interface Directions {
  readonly median_cosine: number;
  readonly max_cosine: number;
  /** Latents that have another one with a cosine above 0.9. */
  readonly copies: number;
}

/** What latents tell about the labels of rows. */
export interface LabelFigures {
  /** Different labels. */
  readonly classes: number;
  /** Latents that predict one of them better than chance would. */
  readonly predicting: number;
  /** The mean over these of the F1 with which each predicts its best label. */
  readonly mean_f1: number;
  /** Sparse probes by their number of latents. */
  readonly probes: readonly {
    readonly k: number;
    readonly rows: number;
    readonly accuracy: number;
    readonly classes: readonly ClassProbe[];
  }[];
}

export interface EvaluatedLatent extends LatentFigures {
  /** The latent whose decoder direction is nearest, and its cosine. Undefined if there is but one latent. */
  readonly nearest?: { readonly latent: number; readonly cosine: number };
  /** Of rows with labels that are classes: the label that it predicts best, if it predicts one better than chance would. */
  readonly predicts?: LabelPrediction;
}

/**
 * Measures a model on rows, block by block: how well they are reconstructed, how often which latents are active, how alike decoder
 * directions are, and what latents tell about labels, if rows have some and these are classes.
 * @throws DataError if rows are invalid, have the wrong width, or are none; NonFiniteError; LimitError; OutOfMemoryError; ClosedError.
 */
export async function evaluation(
  model: Model,
  rows: Rows,
  {
    other_variances = false,
    neighbours,
    signal,
    progress,
  }: {
    /** Whether to tell the explained variance as other libraries define it, for which rows are read twice. */
    other_variances?: boolean;
    /** Of each latent the nearest ones, one or more, as `nearestLatents` gives them; found out if it is not given. */
    neighbours?: readonly Neighbours[];
    /** Stops it between two blocks of rows, with the signal's reason. */
    signal?: AbortSignal;
    /** Is called with the rows done. */
    progress?: (rows: number) => void;
  } = {},
): Promise<Evaluation> {
  model.checkWidth(rows);
  const source = rowSource(rows);
  const { in_dims } = source;
  const { hidden } = model;
  const threshold = activeAbove(model.config);
  const fidelity = new FidelitySums(in_dims, other_variances ? await meanRow(source, signal) : undefined);
  const activity = new ActivitySums(hidden, threshold);
  const classes = source.labels && classesOf(source.labels);
  const counts = classes && new ClassCounts(classes, hidden, threshold);
  const probes = classes && new SparseProbes(classes, hidden);
  await Scope.during(async (scope) => {
    const each = rowsAtATime([...model.encoder, ...model.decoder], Math.min(source.rows, mostRows));
    const probe = await Probe.create(model, each);
    scope.adopt(probe, (made) => made.close());
    for await (const [block, first] of datasets(source)) {
      for (let from = 0; from < block.rows; from += each) {
        signal?.throwIfAborted();
        const some = sliceRows(block, from, Math.min(block.rows, from + each));
        const values = normalizedRows(some, first + from);
        const { codes, reconstructions } = await probe.run(values, some.rows, first + from);
        fidelity.add(values, reconstructions);
        activity.add(codes);
        counts?.add(codes, first + from);
        probes?.add(codes, first + from);
        progress?.(first + from + some.rows);
      }
    }
  });
  const nearest = neighbours ?? (await nearestLatents(model, 1));
  const predictions = counts?.predictions;
  return {
    ...fidelity.fidelity,
    ...(other_variances && { other_variances: fidelity.otherVariances }),
    ...activity.figures,
    directions: directionsOf(nearest.flatMap(([first]) => (first ? [first.cosine] : []))),
    ...(classes &&
      predictions &&
      probes && { labels: await labelFigures(classes.names.length, predictions, probes) }),
    latents: activity.latents.map((figures, latent) => ({
      ...figures,
      ...(nearest[latent].length > 0 && { nearest: nearest[latent][0] }),
      ...(predictions?.[latent] && { predicts: predictions[latent] }),
    })),
  };
}

/** The mean of each value, normalised. */
async function meanRow(source: RowSource, signal: AbortSignal | undefined): Promise<Float64Array> {
  const moments = new RowMoments(source.in_dims);
  for await (const [block, first] of datasets(source)) {
    signal?.throwIfAborted();
    moments.add(normalizedRows(block, first));
  }
  return moments.mean;
}

function directionsOf(cosines: readonly number[]): Directions {
  const sorted = Float64Array.from(cosines).sort();
  const { length } = sorted;
  return {
    median_cosine: length > 0 ? sorted[length >> 1] : 0,
    max_cosine: length > 0 ? sorted[length - 1] : 0,
    copies: sorted.filter((cosine) => cosine > copyAbove).length,
  };
}

async function labelFigures(
  classes: number,
  predictions: readonly (LabelPrediction | undefined)[],
  probes: SparseProbes,
): Promise<LabelFigures> {
  const known = predictions.filter((prediction) => prediction !== undefined);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    classes,
    predicting: known.length,
    mean_f1: known.length > 0 ? mean(known.map(({ f1 }) => f1)) : 0,
    probes: (await probes.fit(probeSizes)).map(({ k, classes: fitted }) => {
      return {
        k,
        rows: probes.rows,
        accuracy: mean(fitted.map(({ accuracy }) => accuracy)),
        classes: fitted,
      };
    }),
  };
}
