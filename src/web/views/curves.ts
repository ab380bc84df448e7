import { LineChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import {
  type LossCurve,
  type LossCurves,
  type LossHistory,
  lossCurves,
  markedPoints,
  type SparsityName,
  sharedAxis,
} from '../../sae/index.js';
import { saveBlob } from '../browser/files.js';
import { element, onClick } from '../browser/page.js';
import type { ShownRun } from './runs.js';
import { cssColours } from './tiles.js';

use([LineChart, GridComponent, CanvasRenderer]);

/** Rings that mark a curve of the run that is kept. */
const ringsOfCurve = 12;

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

  /** @param kept a run to compare with: rings mark its curves. */
  draw({ points }: LossHistory<SparsityName>, sparsity: SparsityName, kept?: ShownRun): void {
    const [text, edge, card, ...colours] = cssColours(
      '--quiet',
      '--edge',
      '--card',
      '--loss',
      '--mse',
      '--term-1',
      '--term-2',
    );
    const current = lossCurves(points, ({ step }) => step, sparsity);
    const other = kept && lossCurves(kept.points, ({ step }) => step, kept.sparsity);
    const { logarithmic, range } =
      other && points.length > 0 ? sharedAxis([current, other]) : (other ?? current);
    const axis = {
      axisLabel: { color: text, fontSize: 11 },
      axisLine: { lineStyle: { color: edge } },
      nameTextStyle: { color: text, fontSize: 11 },
      splitLine: { lineStyle: { color: edge } },
    };
    const last = points.at(-1);
    const ends = [last?.step, kept?.points.at(-1)?.step].filter((step) => step !== undefined);
    const values = logarithmic
      ? ({ type: 'log', min: range[0], max: range[1] } as const)
      : ({ type: 'value', min: 0, ...(ends.length === 0 && { max: 2 }) } as const);
    const line = ({ dash, data }: LossCurve, i: number, width: number) => ({
      type: 'line',
      data,
      color: colours[Math.min(i, colours.length - 1)],
      lineStyle: { width, type: dash },
      showSymbol: data.length === 1,
      sampling: 'average',
      silent: true,
    });
    const rings = ({ data }: LossCurve, i: number) => ({
      ...line({ name: '', dash: 'solid', data: markedPoints(data, ringsOfCurve) }, i, 0),
      showSymbol: true,
      symbol: 'circle',
      symbolSize: 6,
      itemStyle: { color: card, borderColor: colours[Math.min(i, colours.length - 1)], borderWidth: 2 },
      sampling: undefined,
    });
    // The complete option, so that nothing remains of a logarithmic axis.
    const option = {
      animation: false,
      grid: { left: 4, right: 34, top: 10, bottom: 2, containLabel: true },
      xAxis: {
        ...axis,
        type: 'value',
        name: 'step',
        nameGap: 6,
        max: ends.length > 0 ? Math.max(...ends) : 100,
        splitLine: { show: false },
      },
      yAxis: { ...axis, ...values },
      series: [
        ...(other?.curves.flatMap((curve, i) => [line(curve, i, 1.2), rings(curve, i)]) ?? []),
        ...current.curves.map((curve, i) => line(curve, i, 2)),
      ],
    };
    this.#chart.setOption(option, { notMerge: true });
    const ofKept = kept ? ` ${described(`The kept run, ${kept.name}`, other)}` : '';
    this.#place.ariaLabel =
      `Curves by step${last ? '.' : '; nothing is trained yet.'} ${described('This run', current)}${ofKept}`.trim();
  }
}

/** The last values of a run's curves, in words; none if it has none. */
function described(run: string, curves: LossCurves | undefined): string {
  const named = curves?.curves.filter(({ data }) => data.length > 0) ?? [];
  if (named.length === 0) return '';
  const [step] = named[0].data.at(-1)!;
  return `${run}, at step ${step}: ${named.map(({ name, data }) => `${name} ${data.at(-1)![1].toFixed(3)}`).join(', ')}.`;
}
