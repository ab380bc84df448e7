import type { ReportedChart } from '../../sae/insight/report/layout.js';
import { axis, Chart, grid } from '../chart.js';
import { el, table } from '../dom.js';
import { number } from '../format.js';

/** Lines of the table beside a chart. */
const lines = 25;

/** Curves of a training, with a legend, and their numbers in a table. */
export function curveChart({ name, by, curves, range }: ReportedChart): HTMLElement {
  const told = curves.map(({ name, data }) => {
    const [first, last] = [data[0], data.at(-1)!];
    if (!first) return `${name}: no numbers.`;
    return data.length === 1
      ? `${name}: ${number(last[1])} at ${by} ${number(last[0])}.`
      : `${name}: from ${number(first[1])} at ${by} ${number(first[0])} to ${number(last[1])} at ${by} ${number(last[0])}.`;
  });
  const alternative = `${name} by ${by}. ${told.join(' ')}`;
  const chart = new Chart(alternative, (colours) => ({
    grid,
    xAxis: { ...axis(colours, by, false), type: 'value', minInterval: 1, min: 'dataMin', max: 'dataMax' },
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
      numbers(name, by, curves),
    ),
  );
}

function numbers(name: string, by: ReportedChart['by'], curves: ReportedChart['curves']): HTMLElement {
  const places = [...new Set(curves.flatMap(({ data }) => data.map(([x]) => x)))].sort((a, b) => a - b);
  const step = Math.max(1, (places.length - 1) / (lines - 1));
  const some = [
    ...new Set(
      Array.from({ length: Math.min(lines, places.length) }, (_, i) => places[Math.round(i * step)]),
    ),
  ];
  const values = curves.map(({ data }) => new Map(data));
  return el(
    'details',
    {},
    el('summary', {}, 'Numbers'),
    table(
      `${name} by ${by}`,
      [by, ...curves.map(({ name }) => name)],
      some.map((x) => [number(x), ...values.map((value) => number(value.get(x) ?? Number.NaN))]),
    ),
  );
}
