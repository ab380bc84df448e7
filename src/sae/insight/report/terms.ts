import { classesOf } from '../evaluation/classes.js';
import { none, type ReportedTerm, termsOfLatent } from './layout.js';

/** Terms, at most. */
const mostTerms = 1000;
/** A word in labels is a term if so many rows have it, or more. */
const leastRows = 3;
/** A word in labels is no term if more than this share of the rows have it. */
const mostShare = 0.95;
/** Different words that are counted at a time. */
const mostWords = 2 ** 20;

/** What labels have in common: themselves, where they are few enough to be classes, and the words in them. */
export interface Terms {
  /** Classes first. */
  readonly terms: readonly ReportedTerm[];
  readonly classes: boolean;
  /** The terms of a row, by their places. */
  of(row: number): Iterable<number>;
}

/** The terms of labels. Undefined if there are none: if labels are all different and have no words in common. */
export function termsOf(labels: readonly string[]): Terms | undefined {
  const classes = classesOf(labels);
  const names = classes?.names ?? [];
  const own = new Map(names.map((name, i) => [name.toLowerCase(), classes?.rows[i]]));
  const words = frequentWords(labels)
    // One that all of these rows have as their whole label says nothing more.
    .filter(({ name, rows }) => own.get(name) !== rows)
    .slice(0, mostTerms - names.length);
  const terms = [...names.map((name, i) => ({ name, rows: classes!.rows[i] })), ...words];
  if (terms.length === 0) return undefined;
  const places = new Map(words.map(({ name }, place) => [name, names.length + place]));
  return {
    terms,
    classes: classes !== undefined,
    *of(row) {
      if (classes) yield classes.of[row];
      if (places.size === 0) return;
      for (const word of wordsOf(labels[row])) {
        const place = places.get(word);
        if (place !== undefined) yield place;
      }
    },
  };
}

/** Words that some of the labels have, the most frequent first. */
function frequentWords(labels: readonly string[]): ReportedTerm[] {
  const counts = new Map<string, number>();
  for (const label of labels) {
    for (const word of wordsOf(label)) counts.set(word, (counts.get(word) ?? 0) + 1);
    if (counts.size > mostWords) {
      // Words that came once are most of them, and seldom come again.
      for (const [word, count] of counts) if (count === 1) counts.delete(word);
    }
  }
  return [...counts]
    .map(([name, rows]) => ({ name, rows, word: true as const }))
    .filter(({ rows }) => rows >= leastRows && rows <= mostShare * labels.length)
    .sort((a, b) => b.rows - a.rows);
}

/** The different words of a label, in lower case: letters and digits that follow each other. */
function wordsOf(label: string): Set<string> {
  return new Set(label.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu));
}

/** Counts for rows of which terms latents are active. */
export class TermCounts {
  /** [hidden, terms]. */
  readonly #counts: Uint32Array;
  /** [hidden]. */
  readonly #active: Uint32Array;

  constructor(
    readonly terms: Terms,
    readonly rows: number,
    readonly hidden: number,
  ) {
    this.#counts = new Uint32Array(hidden * terms.terms.length);
    this.#active = new Uint32Array(hidden);
  }

  /** @param latents that are active for the row. */
  add(row: number, latents: readonly number[]): void {
    const { length } = this.terms.terms;
    for (const latent of latents) this.#active[latent] += 1;
    for (const term of this.terms.of(row)) {
      for (const latent of latents) this.#counts[latent * length + term] += 1;
    }
  }

  /** Of each latent the terms in which it is surely enriched, by the lower end of enrichment. */
  enrichments(): Enriched {
    const { terms } = this.terms;
    const places = this.hidden * termsOfLatent;
    const array = () => new Float32Array(places);
    const found = {
      ids: new Uint32Array(places).fill(none),
      share: array(),
      ratio: array(),
      low: array(),
      high: array(),
    };
    for (let latent = 0; latent < this.hidden; latent++) {
      const active = this.#active[latent];
      if (active === 0) continue;
      const counts = this.#counts.subarray(latent * terms.length, (latent + 1) * terms.length);
      const all = terms.map((term, id) => ({ id, ...enrichment(counts[id], active, term.rows / this.rows) }));
      const best = all.filter(({ low }) => low > 1).sort((a, b) => b.low - a.low || a.id - b.id);
      best.slice(0, termsOfLatent).forEach(({ id, share, ratio, low, high }, i) => {
        const at = latent * termsOfLatent + i;
        found.ids[at] = id;
        found.share[at] = share;
        found.ratio[at] = ratio;
        found.low[at] = low;
        found.high[at] = high;
      });
    }
    return found;
  }
}

/** [hidden, termsOfLatent] each; `ids` has `none` where there are no more. */
export interface Enriched {
  readonly ids: Uint32Array<ArrayBuffer>;
  readonly share: Float32Array<ArrayBuffer>;
  readonly ratio: Float32Array<ArrayBuffer>;
  readonly low: Float32Array<ArrayBuffer>;
  readonly high: Float32Array<ArrayBuffer>;
}

/** The normal distribution's quantile for an interval of 95%. */
const z = 1.959963984540054;

/**
 * How much more frequent something is among some rows than among all: the ratio of both shares, with the 95% interval that the score
 * interval of the first share gives (Wilson, 1927), the second being known.
 * @param count of the rows that have it, of `of` rows. @param base its share of all rows.
 */
export function enrichment(count: number, of: number, base: number) {
  const share = count / of;
  const middle = share + (z * z) / (2 * of);
  const half = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of));
  const scale = 1 + (z * z) / of;
  return {
    share,
    ratio: share / base,
    low: (middle - half) / scale / base,
    high: (middle + half) / scale / base,
  };
}
