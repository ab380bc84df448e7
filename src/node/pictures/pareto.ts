import type { LineSeriesOption, ScatterSeriesOption } from 'echarts/charts';
import type { GridComponentOption, LegendComponentOption, TitleComponentOption } from 'echarts/components';
import type { ComposeOption } from 'echarts/core';
import { type Explaining, paretoFront } from '../../sae/sweep/pareto.js';
import { writeChart } from './chart.js';
import { axis, sheet } from './chart-look.js';

type ParetoOption = ComposeOption<
  ScatterSeriesOption | LineSeriesOption | GridComponentOption | LegendComponentOption | TitleComponentOption
>;

/** A model in the picture. */
export interface ParetoModel extends Explaining {
  /** Of sparsity. */
  readonly kind: string;
  /** Latents. */
  readonly width: number;
}

/** Kinds have colours that the colour-blind can tell, and widths symbols of their own. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const symbols = ['circle', 'triangle', 'rect', 'diamond', 'pin', 'arrow'];
/** Where L0 differs by more than this, the axis is logarithmic. */
const wide = 8;

/**
 * Writes a PNG of 1600 by 900 pixels: explained variance against L0 of each model, by kind and width, and the line of those that no other
 * one surpasses.
 * @throws EngineError if the file cannot be written.
 */
export async function writePareto(file: string, models: readonly ParetoModel[]): Promise<void> {
  await writeChart(file, paretoChart(models));
}

/** The same as an option for ECharts. */
export function paretoChart(models: readonly ParetoModel[]): ParetoOption {
  const finite = models.filter(({ active, explained_variance }) =>
    Number.isFinite(active + explained_variance),
  );
  const kinds = [...new Set(finite.map(({ kind }) => kind))];
  const widths = [...new Set(finite.map(({ width }) => width))].sort((a, b) => a - b);
  const l0 = finite.map(({ active }) => active);
  const logarithmic = Math.min(...l0) > 0 && Math.max(...l0) > wide * Math.min(...l0);
  const scaled = { ...axis, scale: true, boundaryGap: ['4%', '4%'] as [string, string] };
  const front = paretoFront(finite);
  const series = kinds.flatMap((kind, i) =>
    widths.map((width, j): ScatterSeriesOption => {
      return {
        type: 'scatter',
        name: `${kind}, ${width.toLocaleString('en')} latents`,
        symbol: symbols[j % symbols.length],
        symbolSize: 11,
        itemStyle: { color: colours[i % colours.length], opacity: 0.85 },
        data: finite
          .filter((model) => model.kind === kind && model.width === width)
          .map(({ active, explained_variance }) => [active, 100 * explained_variance]),
      };
    }),
  );
  const shown = series.filter(({ data }) => (data as unknown[]).length > 0);
  return {
    ...sheet,
    title: {
      text: 'Explained variance against L0',
      left: 'center',
      top: 8,
      textStyle: { color: '#222222', fontSize: 15, fontWeight: 'normal' },
    },
    legend: {
      type: 'plain',
      orient: 'vertical',
      // By its left side: how wide its text is drawn is not known here.
      left: 572,
      top: 'middle',
      itemGap: 10,
      itemWidth: 15,
      itemHeight: 12,
      selectedMode: false,
      textStyle: { color: '#222222', fontSize: 12 },
    },
    grid: { left: 76, right: 240, top: 44, bottom: 56, outerBoundsMode: 'none' },
    xAxis: {
      ...scaled,
      type: logarithmic ? 'log' : 'value',
      ...(logarithmic && { logBase: 2 }),
      name: `L0: active latents of a row${logarithmic ? ' (log scale)' : ''}`,
      nameGap: 30,
    },
    yAxis: {
      ...scaled,
      type: 'value',
      name: 'explained variance in %',
      nameGap: 50,
    },
    series: [
      {
        type: 'line',
        name: 'not surpassed',
        symbol: 'none',
        lineStyle: { color: '#888888', type: 'dashed', width: 1.5 },
        itemStyle: { color: '#888888' },
        data: front.map(({ active, explained_variance }) => [active, 100 * explained_variance]),
      },
      ...shown,
    ],
  };
}
