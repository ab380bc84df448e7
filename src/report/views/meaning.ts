import { none, type ReportFacts } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { el, table } from '../dom.js';
import { number, percent, shortened } from '../format.js';
import { addressOf } from '../route.js';
import type { Context } from './view.js';

/** The share of rows from which on a latent is dense. */
export const denseAbove = 0.1;

/** What fits a latent best: the class that it tells best, or else the word that it is enriched in most. */
export interface Meaning {
  readonly term: number;
  readonly name: string;
}

export function meaningOf(
  { terms }: ReportFacts,
  { arrays }: ModelData,
  latent: number,
): Meaning | undefined {
  const term = arrays.has('predicts')
    ? arrays.get('predicts')[latent]
    : arrays.has('term_ids')
      ? arrays.of('term_ids', latent)[0]
      : none;
  return terms?.[term] && { term, name: terms[term].name };
}

/** How well its meaning fits a latent, in a few words. */
export function fitOf({ arrays }: ModelData, latent: number): string {
  if (arrays.has('predicts')) {
    return `precision ${percent(arrays.get('precision')[latent])}, recall ${percent(arrays.get('recall')[latent])}`;
  }
  return `${number(arrays.of('term_ratio', latent)[0])}× as often as in all rows`;
}

/** The cosine of a latent's direction with the one that is nearest to it; NaN if there is none. */
export function nearestCosine({ arrays }: ModelData, latent: number): number {
  return arrays.of('near_latents', latent)[0] === none ? Number.NaN : arrays.of('near_cosines', latent)[0];
}

/** What `meaningOf` finds is called; undefined where rows have no labels. */
export function meaningName(facts: ReportFacts, { arrays }: ModelData): string | undefined {
  if (!facts.terms || !(arrays.has('term_ids') || arrays.has('predicts'))) return undefined;
  return arrays.has('predicts') ? 'best label' : 'best word';
}

/** A link to a latent, with its picture if it has one. */
export function latentLink(
  { file }: Context,
  { facts, index }: ModelData,
  latent: number,
  text = `Latent ${latent + 1}`,
): HTMLElement {
  return el(
    'a',
    { class: 'latent', href: addressOf({ view: 'latent', model: index, latent }) },
    facts.directions && file.sheets.picture(facts.directions, latent, true, ''),
    text,
  );
}

/** A table of latents of a model, each with what fits it best and some figures. */
export function latentTable(
  context: Context,
  model: ModelData,
  name: string,
  heading: readonly string[],
  rows: readonly { readonly latent: number; readonly figures: readonly string[] }[],
): HTMLElement {
  const { facts } = context.file;
  const meaning = meaningName(facts, model);
  return table(
    name,
    ['latent', ...(meaning ? [meaning] : []), ...heading],
    rows.map(({ latent, figures }) => [
      latentLink(context, model, latent),
      ...(meaning ? [meaningText(facts, model, latent)] : []),
      ...figures,
    ]),
  );
}

export function meaningText(facts: ReportFacts, model: ModelData, latent: number): HTMLElement {
  return el('bdi', {}, shortened(meaningOf(facts, model, latent)?.name ?? '–', 40));
}
