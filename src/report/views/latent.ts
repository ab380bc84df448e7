import { none } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { el, longSection, section, table } from '../dom.js';
import { cosine, counted, number, percent } from '../format.js';
import { addressOf, type Route } from '../route.js';
import { words } from '../words.js';
import { densityHistory, histogram } from './activations.js';
import { sameFrom } from './compare.js';
import { examples } from './examples.js';
import { besides, stateOf } from './latents.js';
import { latentLink, latentTable, nearestCosine } from './meaning.js';
import { strongestValues, termTable } from './terms.js';
import type { Context, View } from './view.js';

/** All that is known of a latent. */
export async function latentView(context: Context, route: Route & { view: 'latent' }): Promise<View> {
  const { file } = context;
  const { latent } = route;
  const [model, rows] = await Promise.all([file.model(route.model), file.rows()]);
  const others = await Promise.all(
    file.facts.models.flatMap((_, i) => (i === route.model ? [] : [file.model(i)])),
  );
  stateOf(model).opened = latent;
  const dead = model.density(latent) === 0;
  return {
    title: others.length > 0 ? `Latent ${latent + 1} of ${model.facts.name}` : `Latent ${latent + 1}`,
    content: [
      pager(model, latent),
      el('div', { class: 'columns top' }, direction(context, model, latent), figures(context, model, latent)),
      ...(dead
        ? [
            el(
              'p',
              {},
              'This latent is dead: it is active for none of the rows, so there are no examples of it.',
            ),
          ]
        : [
            ...termTable(file.facts, model, latent),
            examples(file, model, rows, latent),
            el('div', { class: 'columns' }, ...histogram(model, latent), ...densityHistory(model, latent)),
          ]),
      el('div', { class: 'columns' }, near(context, model, latent), ...activeWith(context, model, latent)),
      ...matches(context, model, others, latent),
    ],
  };
}

function pager(model: ModelData, latent: number): HTMLElement {
  const { before, after, place } = besides(model, latent);
  const link = (id: string, text: string, key: string, to: number) => {
    const there = to !== none && to >= 0 && to < model.latents;
    return there
      ? el(
          'a',
          {
            id,
            class: 'button',
            href: addressOf({ view: 'latent', model: model.index, latent: to }),
            'aria-keyshortcuts': key,
          },
          text,
        )
      : el('span', { class: 'button off' }, text);
  };
  return el(
    'nav',
    { class: 'pager', 'aria-label': 'Latents' },
    link('previous', '← Previous', 'p', before),
    link('next', 'Next →', 'n', after),
    el('span', { class: 'quiet' }, place),
  );
}

function direction({ file }: Context, model: ModelData, latent: number): HTMLElement {
  const { directions } = model.facts;
  if (!directions) return strongestValues(model, latent);
  const signed = directions.channels === 1;
  return section(
    'Decoder direction',
    'What this latent adds to the reconstruction of a row that it is active for.',
    el(
      'figure',
      { class: 'direction' },
      file.sheets.picture(directions, latent, true, `Decoder direction of latent ${latent + 1}, as an image`),
      el(
        'figcaption',
        {},
        signed
          ? el(
              'div',
              { class: 'scale' },
              el('span', {}, 'takes away'),
              el('span', { class: 'gradient', 'aria-hidden': 'true' }),
              el('span', {}, 'adds'),
              el(
                'span',
                { class: 'quiet' },
                'White is zero. The colours end at the direction’s largest value, either way.',
              ),
            )
          : el('span', { class: 'quiet' }, 'Red, green and blue, each with zero at half its brightness.'),
      ),
    ),
  );
}

function figures({ file }: Context, model: ModelData, latent: number): HTMLElement {
  const { arrays } = model;
  const density = model.density(latent);
  const line = (name: string, value: string, meaning: string) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value), el('dd', { class: 'quiet' }, meaning));
  const alive = (name: string) => (density > 0 ? number(arrays.get(name)[latent]) : '–');
  return section(
    'In figures',
    '',
    el(
      'dl',
      { class: 'figures' },
      line(
        'Density',
        `${percent(density)} (${counted(Math.round(density * file.facts.rows.rows), 'row')})`,
        words.density,
      ),
      line('Mean activation', alive('mean'), 'Over the rows that it is active for.'),
      line('Strongest activation', alive('max'), 'Over all rows.'),
      line(
        'Nearest cosine',
        cosine(nearestCosine(model, latent)),
        'With the most similar decoder direction of this model: 1 is the same.',
      ),
    ),
  );
}

/** A list of other latents of the model, with figures of each. */
function near(context: Context, model: ModelData, latent: number): HTMLElement {
  const cosines = model.arrays.of('near_cosines', latent);
  const rows = [...model.arrays.of('near_latents', latent)].flatMap((other, i) =>
    other === none ? [] : [{ latent: other, figures: [cosine(cosines[i])] }],
  );
  return longSection(
    'Similar latents',
    `By decoder direction. ${words.cosine}`,
    rows.length > 0
      ? latentTable(context, model, 'Similar latents', ['cosine'], rows)
      : el('p', {}, 'There are no others.'),
  );
}

function activeWith(context: Context, model: ModelData, latent: number): HTMLElement[] {
  const [share, jaccard] = ['with_share', 'with_jaccard'].map((name) => model.arrays.of(name, latent));
  const rows = [...model.arrays.of('with_latents', latent)].flatMap((other, i) =>
    other === none ? [] : [{ latent: other, figures: [percent(share[i]), number(jaccard[i])] }],
  );
  if (model.density(latent) === 0) return [];
  return [
    longSection(
      'Active with',
      `Share: of the rows that this latent is active for, those that the other is active for too. ${words.jaccard}`,
      rows.length > 0
        ? latentTable(context, model, 'Active with', ['share', 'Jaccard index'], rows)
        : el('p', {}, 'No other latent is active for the same rows.'),
    ),
  ];
}

function matches(
  context: Context,
  model: ModelData,
  others: readonly ModelData[],
  latent: number,
): HTMLElement[] {
  const rows = others.flatMap((other) => {
    const name = `match_${other.index}_latents`;
    if (!model.arrays.has(name)) return [];
    const match = model.arrays.get(name)[latent];
    if (match === none) return [];
    return [
      [
        el('bdi', {}, other.facts.name),
        latentLink(context, other, match),
        cosine(model.arrays.get(`match_${other.index}_cosines`)[latent]),
      ],
    ];
  });
  if (rows.length === 0) return [];
  return [
    longSection(
      'In the other models',
      `The latent there with the most similar decoder direction. From ${sameFrom} on this report takes two for the same.`,
      table('In the other models', ['model', 'latent', 'cosine'], rows),
    ),
  ];
}
