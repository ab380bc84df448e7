import { enrichment, isEnriched } from './enrichment.js';

/** Labels with which rows are told apart: few enough to have many rows each. */
export interface Classes {
  /** In the order in which they first come. */
  readonly names: readonly string[];
  /** Rows of each. */
  readonly rows: readonly number[];
  /** The place of each row's label in `names`, [rows]. */
  readonly of: Uint16Array;
}

/** Different labels, at most. */
const mostClasses = 1000;

/** The label that a latent predicts best, by being active: of those that are more frequent among its rows than chance would make them. */
export interface LabelPrediction {
  readonly label: string;
  /** The share of the rows with that label, of those that the latent is active for. */
  readonly precision: number;
  /** The share of the rows that the latent is active for, of those with that label. */
  readonly recall: number;
  /** The harmonic mean of both. */
  readonly f1: number;
}

/**
 * The classes that labels make of rows. Undefined where they are no classes: a thousand different ones or more, or fewer than two
 * rows a label in the mean.
 */
export function classesOf(labels: readonly string[]): Classes | undefined {
  const places = new Map<string, number>();
  const rows: number[] = [];
  const of = new Uint16Array(labels.length);
  for (const [row, label] of labels.entries()) {
    let place = places.get(label);
    if (place === undefined) {
      if (places.size === mostClasses) return undefined;
      place = places.size;
      places.set(label, place);
      rows.push(0);
    }
    of[row] = place;
    rows[place] += 1;
  }
  return labels.length < 2 * places.size ? undefined : { names: [...places.keys()], rows, of };
}

/** Counts for which classes latents are active. */
export class ClassCounts {
  /** Rows of a class that a latent is active for, [hidden, classes]. */
  readonly #counts: Float64Array;

  /** @param threshold above which a latent is active. */
  constructor(
    readonly classes: Classes,
    readonly hidden: number,
    readonly threshold: number,
  ) {
    this.#counts = new Float64Array(hidden * classes.names.length);
  }

  /** Adds codes, [rows, hidden]. @param first the number of the first row. */
  add(codes: Float32Array, first: number): void {
    const { classes, hidden, threshold } = this;
    const count = classes.names.length;
    for (let at = 0, row = first; at < codes.length; at += hidden, row++) {
      const own = classes.of[row];
      for (let latent = 0; latent < hidden; latent++) {
        if (codes[at + latent] > threshold) this.#counts[latent * count + own] += 1;
      }
    }
  }

  /**
   * What each latent predicts best, [hidden]: of the classes that it is enriched in, the one with the largest F1, of equal ones the first.
   * Undefined where there is none: a latent that is active for all rows would predict the most frequent class.
   */
  get predictions(): (LabelPrediction | undefined)[] {
    const { names, rows, of } = this.classes;
    return Array.from({ length: this.hidden }, (_, latent) => {
      const counts = this.#counts.subarray(latent * names.length, (latent + 1) * names.length);
      const active = counts.reduce((sum, count) => sum + count, 0);
      let best: LabelPrediction | undefined;
      for (const [i, label] of names.entries()) {
        const f1 = (2 * counts[i]) / (active + rows[i]);
        if (counts[i] === 0 || f1 <= (best?.f1 ?? 0)) continue;
        if (!isEnriched(enrichment(counts[i], active, rows[i] / of.length), names.length)) continue;
        best = { label, precision: counts[i] / active, recall: counts[i] / rows[i], f1 };
      }
      return best;
    });
  }
}
