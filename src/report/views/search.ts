import { denseAbove, examplesOfLatent, none, type ReportFacts } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';

/** Which latents a table shows, by density. */
export const filters = {
  all: { name: 'all', has: (_density: number) => true },
  rest: { name: 'neither dead nor dense', has: (density: number) => density > 0 && density <= denseAbove },
  dense: { name: 'dense: more than 10% of rows', has: (density: number) => density > denseAbove },
  dead: { name: 'dead: no rows', has: (density: number) => density === 0 },
} as const;
export type Filter = keyof typeof filters;

/** Finds latents by number, by term and by labels of their examples. */
export class Search {
  readonly #model: ModelData;
  readonly #facts: ReportFacts;
  /** Labels that differ, in small letters, with the rows that have them: made when one searches for the first time. */
  #rowsOf: ReadonlyMap<string, number[]> | undefined;

  constructor(model: ModelData, facts: ReportFacts) {
    this.#model = model;
    this.#facts = facts;
  }

  /** Latents that a filter lets pass and in which `text` is found, by number. */
  find(text: string, filter: Filter): number[] {
    const density = this.#model.arrays.get('density');
    const passes = this.#matcher(text.trim().toLowerCase());
    const found: number[] = [];
    for (let latent = 0; latent < density.length; latent++) {
      if (filters[filter].has(density[latent]) && passes(latent)) found.push(latent);
    }
    return found;
  }

  #matcher(text: string): (latent: number) => boolean {
    if (text === '') return () => true;
    const { arrays } = this.#model;
    const terms = new Set<number>();
    for (const [i, { name }] of this.#facts.terms?.entries() ?? [])
      if (name.toLowerCase().includes(text)) terms.add(i);
    const rows = this.#rowsWith(text);
    const number = /^\d+$/.test(text) ? Number(text) - 1 : -1;
    const [predicts, ids, examples] = ['predicts', 'term_ids', 'example_rows'].map((name) =>
      arrays.has(name) ? arrays.get(name) : undefined,
    );
    const width = ids ? ids.length / this.#model.latents : 0;
    return (latent) => {
      if (latent === number || (predicts && terms.has(predicts[latent]))) return true;
      for (let i = 0; terms.size > 0 && i < width; i++) if (terms.has(ids![latent * width + i])) return true;
      for (let i = 0; rows && i < examplesOfLatent; i++) {
        const row = examples![latent * examplesOfLatent + i];
        if (row !== none && rows[row]) return true;
      }
      return false;
    };
  }

  /** Whether a row's label has the text in it, by the row's place. */
  #rowsWith(text: string): Uint8Array | undefined {
    const { labels } = this.#model;
    if (!labels) return undefined;
    this.#rowsOf ??= byLabel(labels);
    const rows = new Uint8Array(labels.length);
    for (const [label, places] of this.#rowsOf) {
      if (label.includes(text)) for (const place of places) rows[place] = 1;
    }
    return rows;
  }
}

function byLabel(labels: readonly string[]): Map<string, number[]> {
  const rows = new Map<string, number[]>();
  for (const [place, label] of labels.entries()) {
    const small = label.toLowerCase();
    const places = rows.get(small);
    if (places) places.push(place);
    else rows.set(small, [place]);
  }
  return rows;
}
