import { none } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { announce, el } from '../dom.js';
import { cosine, count, counted, number, percent } from '../format.js';
import { type Column, Grid, type Sorting } from '../grid.js';
import { addressOf, type Route } from '../route.js';
import { words } from '../words.js';
import {
  hasTerms,
  joined,
  meaningName,
  meaningOf,
  meaningText,
  nearestCosine,
  strongestLabels,
} from './meaning.js';
import { type Filter, filters, Search } from './search.js';
import type { Context, View } from './view.js';

/** Rows whose pictures stand beside a latent. */
const pictured = 6;

/** How a model's table is set, which stays while one looks at a latent. */
interface State {
  text: string;
  filter: Filter;
  sorting: Sorting;
  /** Latents in the order of the table: the next one and the one before are told by it. */
  order: readonly number[];
  /** The latent that was opened last. */
  opened: number | undefined;
  search: Search | undefined;
}

const states = new Map<number, State>();

/** How the table of a model is set. */
export function stateOf(model: ModelData): State {
  let state = states.get(model.index);
  if (!state) {
    state = {
      text: '',
      filter: 'all',
      sorting: { by: 'number', down: false },
      order: Array.from({ length: model.latents }, (_, i) => i),
      opened: undefined,
      search: undefined,
    };
    states.set(model.index, state);
  }
  return state;
}

/** All latents of a model in a table that filters, searches and sorts. */
export async function latents(context: Context, { model: index }: Route): Promise<View> {
  const { file } = context;
  const { facts } = file;
  const model = await file.model(index);
  const state = stateOf(model);
  state.search ??= new Search(model, facts);
  const { search } = state;

  const found = el('p', { class: 'found' });
  const columns = columnsOf(context, model);
  const grid = new Grid({
    label: 'Latents',
    columns,
    sorting: state.sorting,
    tall: model.facts.directions !== undefined || facts.rows.pictures !== undefined,
    empty: 'No latent is like that.',
    open: (latent) => context.go({ view: 'latent', model: index, latent }),
    changed: () => {
      state.sorting = grid.sorting;
      state.order = grid.order;
    },
  });
  const update = (row?: number) => {
    grid.show(search.find(state.text, state.filter), row);
    found.textContent = `${count(grid.order.length)} of ${counted(model.latents, 'latent')}`;
  };
  const input = el('input', {
    id: 'search',
    type: 'search',
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: model.labels ? 'number, label or word' : 'number',
    oninput: () => {
      state.text = input.value;
      update();
      announce(found.textContent);
    },
    onkeydown: (event: KeyboardEvent) => {
      if (event.key === 'ArrowDown' || event.key === 'Enter') {
        event.preventDefault();
        grid.focus();
      }
    },
  });
  input.value = state.text;
  const densities = [...model.arrays.get('density')];
  const select = el(
    'select',
    {
      id: 'filter',
      onchange: () => {
        state.filter = select.value as Filter;
        update();
        announce(found.textContent);
      },
    },
    ...Object.entries(filters).map(([key, { name, has }]) =>
      el(
        'option',
        { value: key, selected: key === state.filter },
        `${name} (${count(densities.filter(has).length)})`,
      ),
    ),
  );
  return {
    title: facts.models.length > 1 ? `Latents of ${model.facts.name}` : 'Latents',
    content: [
      el(
        'div',
        { class: 'controls' },
        el('label', { for: 'search' }, 'Search', input),
        el('label', { for: 'filter' }, 'Show', select),
        found,
      ),
      grid.element,
      el(
        'details',
        {},
        el('summary', {}, 'What the columns mean'),
        el(
          'dl',
          { class: 'figures words' },
          columns.map(
            ({ name, meaning }) => meaning && el('div', {}, el('dt', {}, name), el('dd', {}, meaning)),
          ),
        ),
      ),
    ],
    start: (again) => {
      const stop = grid.start();
      update(again ? state.opened : undefined);
      return stop;
    },
  };
}

function columnsOf(context: Context, model: ModelData): Column[] {
  const { arrays, facts: own } = model;
  const { file } = context;
  const { facts } = file;
  const [density, mean, max] = ['density', 'mean', 'max'].map((name) => arrays.get(name));
  const alive = (values: ArrayLike<number>) => (latent: number) =>
    density[latent] > 0 ? values[latent] : Number.NaN;
  const figure = (
    name: string,
    kind: string,
    meaning: string,
    key: (latent: number) => number,
    format: (value: number) => string,
  ): Column => ({
    name,
    meaning,
    kind: `number ${kind}`,
    key,
    largestFirst: true,
    cell: (latent) => format(key(latent)),
  });
  const { directions } = own;
  const { pictures } = facts.rows;
  return [
    {
      name: 'number',
      kind: 'number',
      key: (latent) => latent,
      cell: (latent) =>
        el(
          'a',
          { href: addressOf({ view: 'latent', model: model.index, latent }), tabindex: -1 },
          String(latent + 1),
        ),
    },
    ...(directions
      ? [
          {
            name: 'image',
            meaning: words.direction,
            kind: 'image',
            cell: (latent: number) => file.sheets.picture(directions, latent, true, ''),
          },
        ]
      : []),
    {
      ...figure('density', '', words.density, (latent) => density[latent], percent),
      cell: (latent) => (density[latent] > 0 ? percent(density[latent]) : 'dead'),
    },
    figure(
      'mean',
      'over-50',
      'The mean activation over the rows that it is active for.',
      alive(mean),
      number,
    ),
    figure('strongest', 'over-30', 'The largest activation over all rows.', alive(max), number),
    figure(
      'nearest cosine',
      'over-60',
      `With the decoder direction that is most alike. ${words.cosine}`,
      (latent) => nearestCosine(model, latent),
      cosine,
    ),
    ...meaningColumns(context, model),
    ...(pictures
      ? [
          {
            name: 'strongest rows',
            kind: 'images over-60',
            cell: (latent: number) =>
              el(
                'span',
                {},
                ...model
                  .examples(latent, 0, pictured)
                  .map(({ place }) => file.sheets.picture(pictures, place, false, '')),
              ),
          },
        ]
      : []),
    ...(model.labels
      ? [
          {
            name: 'labels of the strongest rows',
            kind: hasTerms(facts, model) ? 'text wide over-75' : 'text',
            cell: (latent: number) => joined(strongestLabels(facts, model, latent)),
          },
        ]
      : []),
  ];
}

function meaningColumns({ file: { facts } }: Context, model: ModelData): Column[] {
  const { arrays } = model;
  const name = meaningName(facts, model);
  if (!facts.terms || name === undefined || !hasTerms(facts, model)) return [];
  // Terms in the order of the alphabet, to sort by.
  const collator = new Intl.Collator(undefined, { numeric: true });
  const rank = new Float64Array(facts.terms.length);
  facts.terms
    .map(({ name }, i) => ({ name, i }))
    .sort((a, b) => collator.compare(a.name, b.name))
    .forEach(({ i }, place) => {
      rank[i] = place;
    });
  const key = (value: (latent: number) => number) => (latent: number) =>
    meaningOf(facts, model, latent) ? value(latent) : Number.NaN;
  const figure = (
    name: string,
    meaning: string,
    value: (latent: number) => number,
    format: (value: number) => string,
  ): Column => ({
    name,
    meaning,
    kind: 'number over-50',
    key: key(value),
    largestFirst: true,
    cell: (latent) => format(key(value)(latent)),
  });
  return [
    {
      name,
      meaning: arrays.has('predicts')
        ? 'The label that it predicts best, by F1, of those that are more frequent among its rows than chance would make them.'
        : 'The word of labels that it is enriched in most surely.',
      kind: 'text',
      key: key((latent) => rank[meaningOf(facts, model, latent)!.term]),
      cell: (latent) => meaningText(facts, model, latent),
    },
    ...(arrays.has('predicts')
      ? [
          figure('precision', words.precision, (latent) => arrays.get('precision')[latent], percent),
          figure('recall', words.recall, (latent) => arrays.get('recall')[latent], percent),
        ]
      : [
          figure(
            'enrichment',
            words.enrichment,
            (latent) => arrays.of('term_ratio', latent)[0],
            (value) => (Number.isNaN(value) ? '–' : `${number(value)}×`),
          ),
        ]),
  ];
}

/** The latents before and after one in the table, as it is sorted and filtered; `none` at its ends. */
export function besides(model: ModelData, latent: number): { before: number; after: number; place: string } {
  const { order } = stateOf(model);
  const place = order.indexOf(latent);
  return {
    before: place > 0 ? order[place - 1] : place < 0 ? latent - 1 : none,
    after: place < 0 ? latent + 1 : (order[place + 1] ?? none),
    place: place < 0 ? '' : `${count(place + 1)} of ${count(order.length)} in the table`,
  };
}
