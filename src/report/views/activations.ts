import { histogramBins } from '../../sae/insight/report/layout.js';
import { axis, Chart, grid } from '../chart.js';
import type { ModelData } from '../data.js';
import { el, longSection, table } from '../dom.js';
import { count, number, percent } from '../format.js';

/** How many rows have which activation. */
export function histogram(model: ModelData, latent: number): HTMLElement[] {
  const { threshold } = model.facts;
  const rows = [...model.arrays.of('histogram', latent)];
  const max = model.arrays.get('max')[latent];
  const width = (max - threshold) / histogramBins;
  const edge = (bin: number) => threshold + bin * width;
  const all = rows.reduce((sum, some) => sum + some, 0);
  if (all === 0) return [];
  const highest = rows.indexOf(Math.max(...rows));
  const chart = new Chart(
    `Histogram of the ${count(all)} activations from ${number(threshold)} to ${number(max)}. Most, ${count(rows[highest])}, are between ${number(edge(highest))} and ${number(edge(highest + 1))}.`,
    (colours) => ({
      grid,
      xAxis: {
        ...axis(colours, 'activation', false),
        type: 'category',
        data: rows.map((_, bin) => number((edge(bin) + edge(bin + 1)) / 2)),
        axisTick: { show: false },
      },
      yAxis: { ...axis(colours, 'rows', true), type: 'value', minInterval: 1 },
      series: [
        {
          type: 'bar',
          data: rows.map((some) => some || null),
          barCategoryGap: '8%',
          barMinHeight: 1,
          color: colours.series[0],
          silent: true,
        },
      ],
    }),
    { height: 220 },
  );
  return [
    longSection(
      'Activations',
      'How many of its rows have an activation of which size.',
      chart.element,
      el(
        'details',
        {},
        el('summary', {}, 'Numbers'),
        table(
          'Activations',
          ['activation', 'rows'],
          rows.map((some, bin) => [`${number(edge(bin))} to ${number(edge(bin + 1))}`, count(some)]),
        ),
      ),
    ),
  ];
}

/** How its density changed while the model was trained. */
export function densityHistory(model: ModelData, latent: number): HTMLElement[] {
  const epochs = model.facts.history;
  if (!epochs?.length || !model.arrays.has('history')) return [];
  const history = model.arrays.get('history');
  const densities = epochs.map((_, point) => history[point * model.latents + latent]);
  const chart = new Chart(
    `Density by epoch: ${percent(densities[0])} at epoch ${number(epochs[0])}, ${percent(densities.at(-1)!)} at epoch ${number(epochs.at(-1)!)}.`,
    (colours) => ({
      grid,
      xAxis: {
        ...axis(colours, 'epoch', false),
        type: 'value',
        minInterval: 1,
        min: 'dataMin',
        max: 'dataMax',
      },
      yAxis: { ...axis(colours, 'density in %', true), type: 'value', min: 0 },
      series: [
        {
          type: 'line',
          data: epochs.map((epoch, i) => [epoch, densities[i] * 100]),
          color: colours.series[0],
          symbol: 'circle',
          symbolSize: 5,
          silent: true,
        },
      ],
    }),
    { height: 220 },
  );
  return [
    longSection(
      'Density in training',
      'The share of rows that it was active for, by epoch. A latent that falls to zero has died.',
      chart.element,
      el(
        'details',
        {},
        el('summary', {}, 'Numbers'),
        table(
          'Density in training',
          ['epoch', 'density'],
          epochs.map((epoch, i) => [number(epoch), percent(densities[i])]),
        ),
      ),
    ),
  ];
}
