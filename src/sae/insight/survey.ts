import { Scope } from '../../gpu/scope.js';
import { activeAbove } from '../model/activity.js';
import type { Model } from '../model/model.js';
import { randomPair, shuffle } from '../model/random.js';
import { type Dataset, normalizedRows, pickRows } from '../rows/dataset.js';
import { encoderPass, type LatentActivity } from './latents.js';
import { TopRows } from './top-rows.js';

/** Bins of a latent's histogram; when an activation lies beyond the last one, each two become one. */
const bins = 48;

/** How all latents of a model respond to rows, as far as these have been encoded. */
export class LatentSurvey {
  #measured = 0;
  readonly #top: TopRows;
  readonly #sums: Float64Array;
  /** The largest activation of each latent, and where its histogram ends. */
  readonly #max: Float32Array;
  readonly #ends: Float64Array;
  readonly #counts: Uint32Array;

  /**
   * @param rows of the whole data set.
   * @param threshold above which a latent is active.
   */
  constructor(
    readonly hidden: number,
    readonly rows: number,
    readonly threshold: number,
    top: number,
  ) {
    this.#top = new TopRows(hidden, top, threshold);
    this.#sums = new Float64Array(hidden);
    this.#max = new Float32Array(hidden);
    this.#ends = new Float64Array(hidden);
    this.#counts = new Uint32Array(hidden * bins);
  }

  /** Rows that have been encoded. */
  get measured(): number {
    return this.#measured;
  }

  /** Whether all rows have been encoded. */
  get complete(): boolean {
    return this.#measured === this.rows;
  }

  /** Adds the codes of some rows, [rows, hidden]. What is kept of a latent is at hand while all of them are looked at. */
  add(codes: Float32Array, rows: Uint32Array): void {
    const { hidden, threshold } = this;
    const max = this.#max;
    for (let latent = 0; latent < hidden; latent++) {
      let sum = 0;
      for (let i = 0, at = latent; i < rows.length; i++, at += hidden) {
        const value = codes[at];
        if (value > max[latent]) max[latent] = value;
        if (value > threshold) {
          sum += value;
          this.#top.addActive(latent, value, rows[i]);
          this.#count(latent, value - threshold);
        }
      }
      this.#sums[latent] += sum;
    }
    this.#measured += rows.length;
  }

  #count(latent: number, above: number): void {
    const first = latent * bins;
    const counts = this.#counts;
    this.#ends[latent] ||= above;
    for (; above > this.#ends[latent]; this.#ends[latent] *= 2) {
      for (let bin = first, from = first; bin < first + bins; bin++, from += 2) {
        counts[bin] = from < first + bins ? counts[from] + counts[from + 1] : 0;
      }
    }
    counts[first + Math.min(bins - 1, Math.floor((above / this.#ends[latent]) * bins))] += 1;
  }

  /** Share of the rows so far that a latent is active for. */
  density(latent: number): number {
    return this.#top.count(latent) / this.#measured;
  }

  /** A latent's largest activation so far. */
  max(latent: number): number {
    return this.#max[latent];
  }

  /** The rows that excite a latent most, the strongest first. */
  exciting(latent: number): LatentActivity['exciting'] {
    return this.#top.of(latent);
  }

  /** What is known of one latent. The histogram ends with the last bin that is not empty. */
  of(latent: number): LatentActivity {
    const counts = [...this.#counts.subarray(latent * bins, (latent + 1) * bins)];
    const active = this.#top.count(latent);
    return {
      density: this.density(latent),
      exciting: this.exciting(latent),
      mean: active > 0 ? this.#sums[latent] / active : 0,
      max: this.#max[latent],
      histogram: {
        counts: counts.slice(0, counts.findLastIndex((count) => count > 0) + 1),
        from: this.threshold,
        width: this.#ends[latent] / bins,
      },
    };
  }

  /** The latents that are active for none of the rows so far. */
  dead(): number[] {
    const all = Array.from({ length: this.hidden }, (_, latent) => latent);
    return all.filter((latent) => this.#top.count(latent) === 0);
  }
}

/**
 * Encodes the rows of a data set block by block, in an order drawn by a seed, so that those so far are a sample of all; and gives the
 * survey after each block, the same one each time. It waits for its caller in between.
 * @param top rows of a latent that are kept, at most.
 * @throws DataError if the rows are invalid or have the wrong width; NonFiniteError; ClosedError.
 */
export async function* surveyLatents(
  model: Model,
  dataset: Dataset,
  { top = 16, seed = 0 }: { top?: number; seed?: number } = {},
): AsyncGenerator<LatentSurvey, void, void> {
  model.checkWidth(dataset);
  const { rows } = dataset;
  const { hidden } = model;
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  shuffle(order, randomPair(seed).forOrder);
  const survey = new LatentSurvey(hidden, rows, activeAbove(model.config), top);
  const scope = new Scope();
  try {
    const pass = scope.use(await encoderPass(model, rows));
    const block = (first: number, end: number) =>
      normalizedRows(pickRows(dataset, [...order.subarray(first, end)]));
    for await (const codes of pass.blocks(rows, block)) {
      const first = survey.measured;
      survey.add(codes, order.subarray(first, first + codes.length / hidden));
      yield survey;
    }
  } finally {
    scope.destroy();
  }
}
