import { exampleGroups, none, type ReportFacts } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { el, table } from '../dom.js';
import { labelText, number, percent, shortened } from '../format.js';
import { addressOf } from '../route.js';
import type { Context } from './view.js';

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
  return terms?.[term] && { term, name: labelText(terms[term].name) };
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

/** Labels of the rows that excite a latent most: where they are classes, each once with how often it is there. */
export function strongestLabels({ classes }: ReportFacts, model: ModelData, latent: number): string[] {
  const { labels } = model;
  if (!labels) return [];
  const all = model.examples(latent, 0, exampleGroups[0].count).map(({ place }) => labels[place]);
  if (!classes) return all;
  const counts = new Map<string, number>();
  for (const label of all) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([label, count]) => (count > 1 ? `${labelText(label)} (${count}×)` : label));
}

/** Labels in a line, each apart from the others whichever way it is written. */
export function joined(labels: readonly string[]): HTMLElement {
  const parts = labels.map((label, i) => [
    i > 0 ? ' · ' : '',
    el('bdi', {}, shortened(labelText(label), 40)),
  ]);
  return el('span', {}, labels.length > 0 ? parts : '–');
}

/** Whether terms of labels tell what latents mean. */
export function hasTerms({ terms }: ReportFacts, { arrays }: ModelData): boolean {
  return terms !== undefined && (arrays.has('term_ids') || arrays.has('predicts'));
}

/** What `meaningText` tells of latents is called; undefined where rows have no labels. */
export function meaningName(facts: ReportFacts, model: ModelData): string | undefined {
  if (hasTerms(facts, model)) return model.arrays.has('predicts') ? 'best label' : 'best word';
  return model.labels && 'strongest rows';
}

/** What fits a latent best, or else the labels of the three rows that excite it most. */
export function meaningText(facts: ReportFacts, model: ModelData, latent: number): HTMLElement {
  if (!hasTerms(facts, model)) return joined(strongestLabels(facts, model, latent).slice(0, 3));
  return el('bdi', {}, shortened(meaningOf(facts, model, latent)?.name ?? '–', 40));
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
