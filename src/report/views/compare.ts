import type { ReportedModel } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { el, section, table } from '../dom.js';
import { cosine, count, counted, number, percent } from '../format.js';
import { type Column, Grid } from '../grid.js';
import { addressOf, type Route } from '../route.js';
import { words } from '../words.js';
import { latentLink, meaningName, meaningText } from './meaning.js';
import { pareto } from './pareto.js';
import type { Context, View } from './view.js';

/** The cosine from which on two latents of different models count as the same. */
export const sameFrom = 0.7;

/** Models side by side: how good they are, and which latents two of them share. */
export async function compare(context: Context, route: Route & { view: 'compare' }): Promise<View> {
  const { file, go } = context;
  const { models } = file.facts;
  const [first, second] = await Promise.all([file.model(route.model), file.model(route.other)]);
  const pair = pairOf(context, first, second);
  const choice = (id: string, label: string, chosen: number, change: (model: number) => void) => {
    const select = el(
      'select',
      { id, onchange: () => change(select.selectedIndex) },
      ...models.map(({ name }, i) => el('option', { selected: i === chosen }, `${i + 1}: ${name}`)),
    );
    return el('label', { for: id }, label, select);
  };
  return {
    title: 'Compare models',
    content: [
      section(
        'Models',
        `${words.l0} ${words.variance}`,
        table(
          'Models',
          ['model', 'sparsity', 'latents', 'L0', 'explained variance', 'dead'],
          models.map((model, i) => [
            el(
              'a',
              { href: addressOf({ view: 'overview', model: i }) },
              `${i + 1}: `,
              el('bdi', {}, model.name),
            ),
            model.kind,
            count(model.latents),
            number(model.l0),
            percent(model.explained_variance),
            count(model.dead),
          ]),
        ),
        pareto(models),
      ),
      section(
        'Latents of two models',
        `Two latents count as the same if the cosine of their decoder directions is ${sameFrom} or more. Dead latents are left out.${apart(models)}`,
        el(
          'div',
          { class: 'controls' },
          choice('first', 'First model', route.model, (model) =>
            go({ ...route, model, other: model === route.other ? route.model : route.other }),
          ),
          choice('second', 'Second model', route.other, (other) =>
            go({ ...route, other, model: other === route.model ? route.other : route.model }),
          ),
          pair.choice,
        ),
        pair.summary,
        pair.grid.element,
      ),
    ],
    start: () => {
      const stop = pair.grid.start();
      pair.show();
      return stop;
    },
  };
}

function pairOf(context: Context, first: ModelData, second: ModelData) {
  const sides = [sideOf(first, second), sideOf(second, first)];
  const names = [first.facts.name, second.facts.name];
  const [shared, own, others] = [
    sides[0].alive.filter((latent) => sides[0].cosines[latent] >= sameFrom),
    ...sides.map(({ alive, cosines }) => alive.filter((latent) => cosines[latent] < sameFrom)),
  ];
  const lists = [
    { name: 'in both', rows: shared },
    { name: 'only in the first', rows: own },
    // Rows of the table are latents of the first model; those of the second follow them.
    { name: 'only in the second', rows: others.map((latent) => first.latents + latent) },
  ];
  const summary = el(
    'p',
    {},
    `Of the ${counted(sides[0].alive.length, 'latent')} of `,
    el('bdi', {}, names[0]),
    ` that are not dead, ${count(shared.length)} (${percent(shared.length / sides[0].alive.length)}) have one like them in `,
    el('bdi', {}, names[1]),
    `, and ${count(own.length)} have none. In `,
    el('bdi', {}, names[1]),
    `, ${count(others.length)} of ${count(sides[1].alive.length)} have none in `,
    el('bdi', {}, names[0]),
    '.',
  );
  const grid = new Grid({
    label: 'Latents of two models',
    columns: pairColumns(context, first, second, sides),
    sorting: { by: 'cosine', down: true },
    tall: first.facts.directions !== undefined,
    empty: 'There are none.',
    open: (row) =>
      context.go(
        row < first.latents
          ? { view: 'latent', model: first.index, latent: row }
          : { view: 'latent', model: second.index, latent: row - first.latents },
      ),
  });
  const show = () => grid.show(lists[select.selectedIndex].rows);
  const select = el(
    'select',
    { id: 'shared', onchange: show },
    ...lists.map(({ name, rows }) => el('option', {}, `${name} (${count(rows.length)})`)),
  );
  return { summary, grid, show, choice: el('label', { for: 'shared' }, 'Show', select) };
}

interface Side {
  readonly alive: readonly number[];
  /** Of the other model, the latent with the nearest direction, and its cosine. */
  readonly matches: ArrayLike<number>;
  readonly cosines: ArrayLike<number>;
}

function sideOf(model: ModelData, other: ModelData): Side {
  const density = model.arrays.get('density');
  return {
    alive: Array.from({ length: model.latents }, (_, i) => i).filter((latent) => density[latent] > 0),
    matches: model.arrays.get(`match_${other.index}_latents`),
    cosines: model.arrays.get(`match_${other.index}_cosines`),
  };
}

function pairColumns(
  context: Context,
  first: ModelData,
  second: ModelData,
  [forth, back]: readonly Side[],
): Column[] {
  const isFirst = (row: number) => row < first.latents;
  const latents = (row: number) =>
    isFirst(row) ? [row, forth.matches[row]] : [back.matches[row - first.latents], row - first.latents];
  const key = (row: number) => (isFirst(row) ? forth.cosines[row] : back.cosines[row - first.latents]);
  const side = (name: string, model: ModelData, at: 0 | 1): Column => ({
    name,
    kind: 'text',
    key: (row) => latents(row)[at],
    cell: (row) => {
      const link = latentLink(context, model, latents(row)[at], String(latents(row)[at] + 1));
      link.tabIndex = -1;
      const { facts } = context.file;
      const meaning = meaningName(facts, model) && [' · ', meaningText(facts, model, latents(row)[at])];
      return el('span', {}, link, meaning);
    },
  });
  return [
    side('in the first', first, 0),
    side('in the second', second, 1),
    {
      name: 'cosine',
      meaning: words.cosine,
      kind: 'number',
      key,
      largestFirst: true,
      cell: (row) => cosine(key(row)),
    },
    {
      name: 'each other’s nearest',
      meaning: 'Whether the latent of the first model is also the nearest to that of the second.',
      kind: 'text over-50',
      cell: (row) => {
        const [one, other] = latents(row);
        return forth.matches[one] === other && back.matches[other] === one ? 'yes' : 'no';
      },
    },
  ];
}

/** Warns of models whose decoder directions lie in differently normalised rows. */
function apart(models: readonly ReportedModel[]): string {
  const kinds = new Set(models.map(({ normalization }) => normalization));
  // Two numbers for all values leave directions as they are.
  const turned = [...kinds].some((kind) => kind === 'standardize' || kind === 'zca');
  return kinds.size > 1 && turned
    ? ` The models normalise rows differently (${[...kinds].join('; ')}), so that their directions can hardly be compared.`
    : '';
}
