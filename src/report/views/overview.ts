import { denseAbove, type ReportedModel } from '../../sae/insight/report/layout.js';
import type { ModelData } from '../data.js';
import { announce, el, longSection, section, table } from '../dom.js';
import { count, counted, decades, number, percent } from '../format.js';
import { pointsChart } from '../points.js';
import { addressOf, type Route } from '../route.js';
import { glossary } from '../words.js';
import { curveChart } from './curves.js';
import { fitOf, meaningName, meaningOf, meaningText } from './meaning.js';
import type { Context, View } from './view.js';

/** What a model is, how good, and all of its latents at a glance. */
export async function overview(context: Context, { model: index }: Route): Promise<View> {
  const { facts } = context.file;
  const model = await context.file.model(index);
  const { rows } = facts;
  const { facts: own } = model;
  return {
    title: facts.models.length > 1 ? `Overview of ${own.name}` : 'Overview',
    content: [
      el(
        'p',
        { class: 'lead' },
        `A sparse autoencoder with ${counted(own.latents, 'latent')}: `,
        el('bdi', {}, own.name),
        `. It was looked at with ${counted(rows.rows, 'row')} of ${counted(rows.in_dims, 'value')}: `,
        el('bdi', {}, rows.name),
        '. ',
        el('a', { href: addressOf({ view: 'latents', model: index }) }, 'All latents are in a table'),
        '.',
      ),
      keyFigures(own, rows.rows),
      el('div', { class: 'columns' }, ...maps(context, model)),
      ...curves(own),
      ...figureTables(own, rows.rows, index),
      ...commandOf(own),
      el(
        'div',
        { class: 'columns' },
        ...factsOf(own),
        longSection(
          'What the words mean',
          '',
          el(
            'dl',
            { class: 'figures words' },
            ...glossary.map(([word, meaning]) => el('div', {}, el('dt', {}, word), el('dd', {}, meaning))),
          ),
        ),
      ),
      el(
        'p',
        { class: 'quiet' },
        `Made by ${facts.program} on `,
        el('time', { datetime: facts.created }, `${facts.created.slice(0, 16).replace('T', ' ')} UTC`),
        '. This file holds all that it shows and asks nothing of the network.',
      ),
    ],
  };
}

function keyFigures(model: ReportedModel, rows: number): HTMLElement {
  const figure = (name: string, value: string, meaning: string) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value), el('dd', { class: 'quiet' }, meaning));
  return el(
    'dl',
    { class: 'key-figures' },
    figure(
      'Explained variance',
      percent(model.explained_variance),
      'of what differs between rows is in the reconstruction',
    ),
    figure('Active latents of a row (L0)', number(model.l0), `of ${count(model.latents)}, on average`),
    figure(
      'Dead latents',
      count(model.dead),
      `${percent(model.dead / model.latents)}: active for none of ${counted(rows, 'row')}`,
    ),
    figure('Sparsity', model.kind, 'what keeps most latents at zero'),
  );
}

function maps(context: Context, model: ModelData): HTMLElement[] {
  const { arrays, latents } = model;
  const [density, max, map] = [arrays.get('density'), arrays.get('max'), arrays.get('map')];
  const alive = Array.from({ length: latents }, (_, i) => i).filter((latent) => density[latent] > 0);
  const dead = latents - alive.length;
  if (alive.length === 0) {
    return [section('Latents', '', el('p', {}, 'All latents are dead: none is active for any of the rows.'))];
  }
  const dense = alive.filter((latent) => density[latent] > denseAbove).length;
  const common = {
    latents: alive,
    marked: (point: number) => density[alive[point]] > denseAbove,
    tell: (latent: number) => tellOf(context, model, latent),
    open: (latent: number) => context.go({ view: 'latent', model: model.index, latent }),
  };
  const ordered = Float32Array.from(alive, (latent) => density[latent]).sort();
  const middle = ordered[Math.floor(ordered.length / 2)];
  const strongest = alive.reduce((best, latent) => (max[latent] > max[best] ? latent : best));
  const legend = () =>
    el(
      'p',
      { class: 'legend' },
      el('span', {}, el('span', { class: 'mark' }), 'a latent'),
      el(
        'span',
        {},
        el('span', { class: 'mark diamond' }),
        `a dense one, active for more than ${percent(denseAbove)} of the rows (${count(dense)})`,
      ),
      dead > 0 && el('span', {}, `${counted(dead, 'dead latent')} left out`),
    );
  const twin = `The table of latents has these numbers.`;
  const [strength, directions] = ['How often and how strongly', 'Map of decoder directions'];
  return [
    section(
      strength,
      'Each point is a latent. To the right are those that are active for many rows (density), further up those whose strongest activation is large.',
      pointsChart({
        ...common,
        name: strength,
        alternative: `Density and strongest activation of ${counted(alive.length, 'latent')}. Densities go from ${percent(ordered[0])} to ${percent(ordered.at(-1)!)}, half are below ${percent(middle)}; ${count(dense)} dense, ${count(dead)} dead. The strongest activation of all, ${number(max[strongest])}, is that of latent ${strongest + 1}. ${twin}`,
        x: Float32Array.from(alive, (latent) => density[latent] * 100),
        y: Float32Array.from(alive, (latent) => max[latent]),
        axes: {
          names: ['density: rows that it is active for, in %', 'strongest activation'],
          x: {
            type: 'log',
            ...decades(ordered[0] * 100, ordered.at(-1)! * 100),
            axisLabel: { formatter: number },
          },
          y: { type: 'value', min: 0 },
        },
      }),
      legend(),
    ),
    section(
      directions,
      'Latents whose decoder directions are alike lie near each other. Only nearness means something: the axes do not, nor do long distances.',
      pointsChart({
        ...common,
        name: directions,
        alternative: `Map of the decoder directions of ${counted(alive.length, 'latent')}: similar ones lie near each other. Each latent’s page lists those that are nearest to it, with their cosines.`,
        x: Float32Array.from(alive, (latent) => map[2 * latent]),
        y: Float32Array.from(alive, (latent) => map[2 * latent + 1]),
        axes: { names: ['', ''], x: blank, y: blank },
      }),
      legend(),
    ),
  ];
}

const blank = {
  type: 'value',
  scale: true,
  axisLine: { show: false },
  axisLabel: { show: false },
  axisTick: { show: false },
  splitLine: { show: false },
};

function tellOf({ file }: Context, model: ModelData, latent: number): (Node | string)[] {
  const { directions } = model.facts;
  const { facts } = file;
  const name = meaningName(facts, model);
  const fit = meaningOf(facts, model, latent) ? ` (${fitOf(model, latent)})` : '';
  return [
    ...(directions ? [file.sheets.picture(directions, latent, true, '')] : []),
    el(
      'span',
      {},
      `Latent ${latent + 1}: active for ${percent(model.density(latent))} of the rows, at most ${number(model.arrays.get('max')[latent])}`,
      name && [`; ${name}: `, meaningText(facts, model, latent), fit],
      '.',
    ),
  ];
}

function curves({ charts }: ReportedModel): HTMLElement[] {
  const drawn = charts.filter(({ curves }) => curves.some(({ data }) => data.length > 0));
  if (drawn.length === 0) return [];
  return [
    longSection(
      'Training',
      drawn[0].by === 'epoch'
        ? 'What was measured after each epoch, a pass over all training rows.'
        : 'What was measured as it was trained, on batches of rows.',
      el('div', { class: 'columns' }, ...drawn.map(curveChart)),
    ),
  ];
}

function figureTables({ tables }: ReportedModel, rows: number, model: number): HTMLElement[] {
  if (tables.length === 0) return [];
  const drawn = tables.map(({ heading, rows }) => {
    const latent = heading.indexOf('best latent');
    const cells = rows.map((row) => row.map((text, i) => (i === latent ? linkTo(model, text) : text)));
    return table(heading.find((text) => text !== '') ?? 'Figures', heading, cells);
  });
  return [
    longSection('Figures', `Measured on all ${count(rows)} rows.`, el('div', { class: 'columns' }, ...drawn)),
  ];
}

/** The number of a latent, with a link to it. */
function linkTo(model: number, text: string): Node | string {
  const latent = Number(text) - 1;
  if (!(latent >= 0)) return text;
  return el('a', { href: addressOf({ view: 'latent', model, latent }) }, text);
}

function commandOf({ command }: ReportedModel): HTMLElement[] {
  if (command === undefined) return [];
  return [section('To train it again', 'This command repeats the training.', copied(command))];
}

function factsOf({ facts }: ReportedModel): HTMLElement[] {
  if (facts.length === 0) return [];
  return [longSection('Facts of the training', '', table('Facts of the training', ['what', 'value'], facts))];
}

/** A command with a button that copies it. */
function copied(command: string): HTMLElement {
  const code = el('code', { tabindex: 0, role: 'region', 'aria-label': 'The command' }, command);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      announce('Copied.');
      button.textContent = 'Copied';
    } catch {
      getSelection()!.selectAllChildren(code);
      button.textContent = 'Marked: copy it with Ctrl+C';
    }
  };
  const button = el('button', { type: 'button', onclick: copy }, 'Copy');
  return el('div', { class: 'command' }, code, button);
}
