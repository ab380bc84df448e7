import { exampleGroups, none } from '../../sae/insight/report/layout.js';
import type { Arrays, Example, ModelData, ReportFile } from '../data.js';
import { el, section } from '../dom.js';
import { count, labelText, number, shortened } from '../format.js';

/** Characters of a label that are shown before one asks for the rest. */
const most = 240;

/** Rows that a latent is active for, from the strongest down, in groups. */
export function examples(file: ReportFile, model: ModelData, rows: Arrays, latent: number): HTMLElement {
  const { pictures } = file.facts.rows;
  const { labels } = model;
  let first = 0;
  const groups = exampleGroups.map(({ name, count }) => {
    const some = model.examples(latent, first, count);
    first += count;
    return { name, some };
  });
  // Rows are listed once, as the first of several models has them.
  const taker = file.facts.models.length > 1 ? file.facts.models[0].name : 'the model';
  const drawn = groups.filter(({ some }) => some.length > 0);
  const one = (example: Example) =>
    el(
      'li',
      {},
      pictures && file.sheets.picture(pictures, example.place, false, ''),
      !pictures && !labels && rowValues(rows, example.place),
      labels && labelOf(labels[example.place], file.facts.classes),
      el(
        'span',
        { class: 'quiet' },
        `row ${count(rows.get('row_numbers')[example.place] + 1)}: `,
        el('b', {}, number(example.activation)),
      ),
    );
  return section(
    'Examples',
    `Rows that it is active for, each with its number and the activation. Below the strongest are some by chance from each quarter of its activations, which tell whether it means the same when it is weak.${pictures || labels ? '' : ` Of each row, the values of largest magnitude, as ${taker} takes them, after their places from 1.`}`,
    ...drawn.map(({ name, some }) =>
      el(
        'div',
        { class: 'group' },
        el('h3', {}, `${name[0].toUpperCase()}${name.slice(1)}`),
        el('ol', { class: pictures ? 'examples pictures' : 'examples' }, ...some.map(one)),
      ),
    ),
  );
}

/** A row's values of largest magnitude, each after its place. */
function rowValues(rows: Arrays, place: number): HTMLElement | undefined {
  if (!rows.has('row_places')) return undefined;
  const values = rows.of('row_values', place);
  const told = [...rows.of('row_places', place)].flatMap((at, i) =>
    at === none ? [] : [`${count(at + 1)}: ${number(values[i])}`],
  );
  return el('span', { class: 'label' }, told.join(' · '));
}

function labelOf(label: string, isClass: boolean): HTMLElement {
  if (label.trim() === '') return el('span', { class: 'quiet' }, labelText(label));
  if (isClass) return el('span', { class: 'label' }, 'label ', el('bdi', {}, label));
  if (label.length <= most) return el('span', { class: 'label', dir: 'auto' }, label);
  return el(
    'details',
    { class: 'label', dir: 'auto' },
    el('summary', {}, shortened(label, most)),
    el('p', {}, label),
  );
}
