import { LineChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { type LossHistory, lossCurves, type SparsityName } from '../../sae/index.js';
import { saveBlob } from '../browser/files.js';
import { element, onClick } from '../browser/page.js';
import { cssColours } from './tiles.js';

use([LineChart, GridComponent, CanvasRenderer]);

/** The curves of the loss and its parts by step. The figures above are their legend. */
export class Curves {
  readonly #place = element('curves');
  readonly #chart = init(this.#place, null, { renderer: 'canvas' });

  constructor() {
    new ResizeObserver(() => this.#chart.resize()).observe(this.#place);
    onClick('save-curves', () => {
      const [backgroundColor] = cssColours('--card');
      const canvas = this.#chart.renderToCanvas({ pixelRatio: 2, backgroundColor });
      canvas.toBlob((blob) => blob && saveBlob('loss.png', blob));
    });
  }

  draw({ points }: LossHistory<SparsityName>, sparsity: SparsityName): void {
    const [text, edge, ...colours] = cssColours(
      '--quiet',
      '--edge',
      '--loss',
      '--mse',
      '--term-1',
      '--term-2',
    );
    const { curves, logarithmic, range } = lossCurves(points, ({ step }) => step, sparsity);
    const axis = {
      axisLabel: { color: text, fontSize: 11 },
      axisLine: { lineStyle: { color: edge } },
      nameTextStyle: { color: text, fontSize: 11 },
      splitLine: { lineStyle: { color: edge } },
    };
    const last = points.at(-1);
    const values = logarithmic
      ? ({ type: 'log', min: range[0], max: range[1] } as const)
      : ({ type: 'value', min: 0, ...(!last && { max: 2 }) } as const);
    // The complete option, so that nothing remains of a logarithmic axis.
    const option = {
      animation: false,
      grid: { left: 4, right: 34, top: 10, bottom: 2, containLabel: true },
      xAxis: {
        ...axis,
        type: 'value',
        name: 'step',
        nameGap: 6,
        max: last?.step ?? 100,
        splitLine: { show: false },
      },
      yAxis: { ...axis, ...values },
      series: curves.map(({ dash, data }, i) => ({
        type: 'line',
        data,
        color: colours[Math.min(i, colours.length - 1)],
        lineStyle: { width: 2, type: dash },
        showSymbol: data.length === 1,
        sampling: 'average',
        silent: true,
      })),
    };
    this.#chart.setOption(option, { notMerge: true });
    this.#place.ariaLabel = last
      ? `Curves by step. At step ${last.step}: ${curves.map(({ name, data }) => `${name} ${data.at(-1)![1].toFixed(3)}`).join(', ')}.`
      : 'Curves by step; nothing is trained yet.';
  }
}
