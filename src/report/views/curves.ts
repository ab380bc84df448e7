import type { ReportedChart } from '../../sae/insight/report/layout.js';
import { axis, Chart, grid } from '../chart.js';
import { el, table } from '../dom.js';
import { number } from '../format.js';

/** Lines of the table beside a chart. */
const lines = 25;

/** Curves by epoch, with a legend, and their numbers in a table. */
export function curveChart({ name, curves, range }: ReportedChart): HTMLElement {
  const told = curves.map(({ name, data }) => {
    const [first, last] = [data[0], data.at(-1)!];
    if (!first) return `${name}: no numbers.`;
    return data.length === 1
      ? `${name}: ${number(last[1])} at epoch ${number(last[0])}.`
      : `${name}: from ${number(first[1])} at epoch ${number(first[0])} to ${number(last[1])} at epoch ${number(last[0])}.`;
  });
  const alternative = `${name} by epoch. ${told.join(' ')}`;
  const chart = new Chart(alternative, (colours) => ({
    grid,
    xAxis: { ...axis(colours, 'epoch', false), type: 'value', min: 'dataMin', max: 'dataMax' },
    yAxis: {
      ...axis(colours, '', true),
      ...(range ? { type: 'log', min: range[0], max: range[1] } : { type: 'value' }),
    },
    series: curves.map(({ dash, data }, i) => ({
      type: 'line',
      data,
      color: colours.series[i % colours.series.length],
      lineStyle: { width: 2, type: dash },
      showSymbol: data.length === 1,
      sampling: 'average',
      silent: true,
    })),
  }));
  return el(
    'figure',
    {},
    el('h3', {}, name),
    chart.element,
    el(
      'figcaption',
      {},
      el(
        'p',
        { class: 'legend' },
        ...curves.map(({ name, dash, data }, i) =>
          el(
            'span',
            {},
            el('span', { class: `line ${dash} series-${(i % 4) + 1}` }),
            `${name}${data.length > 0 ? ` ${number(data.at(-1)![1])}` : ''}`,
          ),
        ),
      ),
      numbers(name, curves),
    ),
  );
}

function numbers(name: string, curves: ReportedChart['curves']): HTMLElement {
  const epochs = [...new Set(curves.flatMap(({ data }) => data.map(([epoch]) => epoch)))].sort(
    (a, b) => a - b,
  );
  const step = Math.max(1, (epochs.length - 1) / (lines - 1));
  const some = [
    ...new Set(
      Array.from({ length: Math.min(lines, epochs.length) }, (_, i) => epochs[Math.round(i * step)]),
    ),
  ];
  const values = curves.map(({ data }) => new Map(data));
  return el(
    'details',
    {},
    el('summary', {}, 'Numbers'),
    table(
      `${name} by epoch`,
      ['epoch', ...curves.map(({ name }) => name)],
      some.map((epoch) => [number(epoch), ...values.map((value) => number(value.get(epoch) ?? Number.NaN))]),
    ),
  );
}
