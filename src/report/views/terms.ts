import { none, type ReportFacts } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { el, section, table } from '../dom.js';
import { count, labelText, number, percent, shortened } from '../format.js';
import { words } from '../words.js';
import { meaningOf } from './meaning.js';

/** What the labels of the rows that a latent is active for have in common. */
export function termTable(facts: ReportFacts, model: ModelData, latent: number): HTMLElement[] {
  const { arrays } = model;
  const { terms, classes } = facts;
  if (!terms || !arrays.has('term_ids')) return [];
  const what = classes ? (terms.some(({ word }) => word) ? 'label or word' : 'label') : 'word';
  const of = (name: string) => arrays.of(name, latent);
  const [share, ratio, low, high] = ['term_share', 'term_ratio', 'term_low', 'term_high'].map(of);
  const rows = [...of('term_ids')].flatMap((term, i) =>
    term === none
      ? []
      : [
          [
            el(
              'span',
              {},
              el('bdi', {}, shortened(labelText(terms[term].name), 80)),
              classes && terms[term].word && el('span', { class: 'quiet' }, ' in the label'),
            ),
            percent(share[i]),
            percent(terms[term].rows / facts.rows.rows),
            `${number(ratio[i])}×`,
            `${number(low[i])} to ${number(high[i])}`,
          ],
        ],
  );
  const best = arrays.has('predicts') ? meaningOf(facts, model, latent) : undefined;
  return [
    section(
      'What the labels have in common',
      words.enrichment,
      best &&
        el(
          'p',
          {},
          'As a test for ',
          el('bdi', {}, `“${shortened(best.name, 80)}”`),
          `, it has a precision of ${percent(of('precision')[0])} (so many of the rows that it is active for have the label, and ${percent(terms[best.term].rows / facts.rows.rows)} of all), a recall of ${percent(of('recall')[0])} (it is active for so many of the rows with the label) and an F1 of ${number(of('f1')[0])}.`,
        ),
      !best && arrays.has('predicts') && el('p', {}, 'It predicts no label better than chance would.'),
      rows.length > 0
        ? table(
            'What the labels have in common',
            [what, 'share of its rows', 'share of all rows', 'enrichment', '95% interval'],
            rows,
          )
        : el('p', {}, `No ${what} is more frequent among its rows than among all, by more than chance.`),
    ),
  ];
}

/** A direction where rows are no images: its values of largest magnitude, as bars. */
export function strongestValues(model: ModelData, latent: number): HTMLElement {
  const places = model.arrays.of('direction_places', latent);
  const values = model.arrays.of('direction_values', latent);
  return section(
    'Decoder direction',
    `What this latent adds to the reconstruction of a row: the ${count(places.length)} values that are largest, up or down, of a direction of length 1.`,
    valueBars('Decoder direction', places, values),
  );
}

/** Values with their places in a row, from 1, and a bar for each. */
export function valueBars(name: string, places: ArrayLike<number>, values: ArrayLike<number>): HTMLElement {
  const most = Math.max(...Array.from(values, Math.abs), Number.MIN_VALUE);
  const list = el('ul', { class: 'bars', 'aria-label': name });
  for (let i = 0; i < places.length; i++) {
    if (places[i] === none) continue;
    const bar = el('span', { class: `bar ${values[i] < 0 ? 'below' : 'above'}`, 'aria-hidden': 'true' });
    bar.style.setProperty('--size', String(Math.abs(values[i]) / most));
    list.append(
      el(
        'li',
        {},
        el('span', {}, `value ${count(places[i] + 1)}`),
        bar,
        el('span', { class: 'number' }, number(values[i])),
      ),
    );
  }
  return list;
}
