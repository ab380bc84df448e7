import type { ReportedModel } from '../../sae/insight/report/layout.js';
import { axis, Chart, grid } from '../chart.js';
import { el } from '../dom.js';
import { number, percent, shortened } from '../format.js';

/** Models whose names are in the chart, at most. */
const mostNamed = 4;
const symbols = ['circle', 'diamond', 'triangle', 'rect'] as const;

/** What models explain by how many latents they need for it. */
export function pareto(models: readonly ReportedModel[]): HTMLElement {
  const told = models.map(
    ({ name, l0, explained_variance }) => `${name}: ${percent(explained_variance)} at L0 ${number(l0)}.`,
  );
  const chart = new Chart(
    `Explained variance against L0. ${told.join(' ')}`,
    (colours) => ({
      grid: { ...grid, right: 30 },
      xAxis: {
        ...axis(colours, 'L0: active latents of a row', false),
        type: 'value',
        scale: true,
        boundaryGap: ['10%', '25%'],
      },
      yAxis: {
        ...axis(colours, 'explained variance in %', true),
        type: 'value',
        scale: true,
        boundaryGap: ['15%', '15%'],
        // There is no more than all of it.
        ...(models.every(({ explained_variance }) => explained_variance > 0.7) && { max: 100 }),
      },
      series: models.map(({ name, l0, explained_variance }, i) => ({
        type: 'scatter',
        // Rows that are all equal have no variance to explain.
        data: Number.isFinite(explained_variance) ? [[l0, explained_variance * 100]] : [],
        symbol: symbols[i % symbols.length],
        symbolSize: 12,
        itemStyle: { color: colours.series[i % colours.series.length] },
        label: {
          show: true,
          // More than a few names would cover each other.
          formatter: () => (models.length > mostNamed ? `${i + 1}` : `${i + 1}: ${shortened(name, 32)}`),
          position: 'top',
          color: colours.text,
          fontSize: 12,
        },
        labelLayout: { moveOverlap: 'shiftY' },
        silent: true,
      })),
    }),
    { height: 320 },
  );
  return el(
    'figure',
    {},
    el('h3', {}, 'Explained variance against L0'),
    chart.element,
    el(
      'figcaption',
      { class: 'quiet' },
      'Better is further up and further to the left: more explained with fewer latents. The table above has the models by their numbers.',
    ),
  );
}
