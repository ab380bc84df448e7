import { classesOf } from '../evaluation/classes.js';
import { enrichment, isEnriched } from '../evaluation/enrichment.js';
import { none, type ReportedTerm, termsOfLatent } from './layout.js';

/** Terms, at most. */
const mostTerms = 1000;
/** A word in labels is a term if so many rows have it, or more. */
const leastRows = 3;
/** A word in labels is no term if more than this share of the rows have it. */
const mostShare = 0.95;
/** What labels have in common: themselves, where they are few enough to be classes, and the words in them. */
export interface Terms {
  /** Classes first. */
  readonly terms: readonly ReportedTerm[];
  readonly classes: boolean;
  /** The terms of a row, by their places. */
  of(row: number): Iterable<number>;
}

/**
 * The terms of labels. Undefined if there are none: if labels are all different and have no words in common.
 * @param mostWords different words that are counted at a time.
 */
export function termsOf(labels: readonly string[], mostWords = 2 ** 20): Terms | undefined {
  const classes = classesOf(labels);
  const names = classes?.names ?? [];
  const own = new Map(names.map((name, i) => [name.toLowerCase(), classes?.rows[i]]));
  const words = frequentWords(labels, mostWords)
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
function frequentWords(labels: readonly string[], mostWords: number): ReportedTerm[] {
  const counts = new Map<string, number>();
  let cut = false;
  for (const label of labels) {
    for (const word of wordsOf(label)) counts.set(word, (counts.get(word) ?? 0) + 1);
    if (counts.size <= mostWords) continue;
    // Words that came seldom are most of them. Until half of the room is free, so that this is not done for each label.
    for (let seldom = 1; counts.size > mostWords / 2; seldom *= 2) {
      for (const [word, count] of counts) if (count <= seldom) counts.delete(word);
    }
    cut = true;
  }
  // Some of what is left may have been left out before.
  if (cut) {
    for (const word of counts.keys()) counts.set(word, 0);
    for (const label of labels) {
      for (const word of wordsOf(label)) {
        const count = counts.get(word);
        if (count !== undefined) counts.set(word, count + 1);
      }
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

  /** Of each latent the terms in which it is enriched by more than chance, by the lower end of enrichment. */
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
      const all = terms.flatMap(({ rows }, id) => {
        if (counts[id] === 0) return [];
        const found = enrichment(counts[id], active, rows / this.rows);
        return isEnriched(found, terms.length) ? [{ id, ...found }] : [];
      });
      const best = all.sort((a, b) => b.low - a.low || a.id - b.id);
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
