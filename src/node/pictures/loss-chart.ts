import type { LineSeriesOption } from 'echarts/charts';
import type { GridComponentOption, LegendComponentOption, TitleComponentOption } from 'echarts/components';
import type { ComposeOption } from 'echarts/core';
import { lossCurves, weightedTerms } from '../../sae/training/loss-curves.js';
import { axis, label, sheet } from './chart-look.js';
import type { ChartEpoch, ChartTraining } from './chart-training.js';

/** The options of ECharts' `setOption` that the loss chart uses. */
export type LossChartOption = ComposeOption<
  LineSeriesOption | GridComponentOption | LegendComponentOption | TitleComponentOption
>;

/** Colours of loss, mse and the terms, safe for the colour-blind. Dashes distinguish the curves in grey print. */
const colors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'];

/** With more epochs than this, the curves have no symbols, which would hide the lines. */
const maxPoints = 40;

/**
 * The chart of `loss`, `mse` and each weighted term by epoch, as an option for ECharts. The caller sets the size, at
 * least about 500 by 300. The value axis starts at 0, or is logarithmic where loss and mse together span a factor of 30
 * or more. ECharts leaves a gap where a value is not finite, or not positive on a logarithmic axis.
 */
export function lossChart(epochs: readonly ChartEpoch[], training: ChartTraining): LossChartOption {
  const points = epochs.map((epoch) => ({ ...training, ...epoch }));
  const { curves, logarithmic, range } = lossCurves(points, ({ epoch }) => epoch, training.sparsity);
  const last = Math.max(1, ...epochs.slice(-1).map(({ epoch }) => epoch));
  const step = tickStep(last);
  return {
    ...sheet,
    title: {
      subtext: decomposition(points, training),
      left: 'center',
      top: 24,
      subtextStyle: { color: '#555555', fontSize: 12 },
    },
    legend: {
      top: 10,
      data: curves.map(({ name }) => name),
      itemGap: 40,
      itemWidth: 36,
      itemHeight: 9,
      selectedMode: false,
      textStyle: { color: '#222222', fontSize: 13 },
    },
    grid: { left: 76, right: 28, top: 66, bottom: 52, outerBoundsMode: 'none' },
    xAxis: {
      ...axis,
      type: 'value',
      name: 'epoch',
      nameGap: 30,
      min: 0,
      // A single epoch has its point in the middle.
      max: last === 1 ? 2 : last,
      interval: step,
      axisLabel: { ...label, showMaxLabel: last % step === 0, formatter: String },
    },
    yAxis: {
      ...axis,
      type: logarithmic ? 'log' : 'value',
      name: logarithmic ? 'mean over batches (log scale)' : 'mean over batches',
      nameGap: 54,
      ...(logarithmic ? { min: range[0], max: range[1] } : { min: 0 }),
      axisLabel: { ...label, formatter: (value: number) => String(Number(value.toPrecision(6))) },
      minorSplitLine: { show: logarithmic, lineStyle: { color: '#f2f2f2' } },
      minorTick: { show: logarithmic, splitNumber: 9 },
    },
    series: curves.map(({ name, dash, data }, i) => ({
      type: 'line',
      name,
      data: data.map((point) => [...point]),
      color: colors[i],
      lineStyle: { width: 2, type: dash },
      symbol: 'circle',
      symbolSize: 6,
      showSymbol: epochs.length <= maxPoints,
    })),
  };
}

/** How the curves add up to the loss, with the constant that it may contain. */
function decomposition(
  epochs: readonly { loss: number; mse: number }[],
  { sparsity, reconstruction }: ChartTraining,
): string {
  if (reconstruction === 'sum' || reconstruction === 'fvu') {
    const errors = reconstruction === 'sum' ? 'in_dims * mse' : 'fvu';
    const terms = weightedTerms(sparsity, epochs[0] ?? { loss: 0, mse: 0 });
    return [`loss = ${errors}`, ...terms.map(({ name }) => name)].join(' + ');
  }
  const sumOf = (epoch: { loss: number; mse: number }) =>
    weightedTerms(sparsity, epoch).reduce((sum, { value }) => sum + value, epoch.mse);
  const known = epochs.findLast((epoch) => Number.isFinite(epoch.loss + sumOf(epoch)));
  if (!known) return '';
  const terms = ['loss = mse', ...weightedTerms(sparsity, known).map(({ name }) => name)].join(' + ');
  const constant = known.loss - sumOf(known);
  return constant > 1e-3 * known.loss ? `${terms} + ${Number(constant.toPrecision(3))} (a constant)` : terms;
}

/** 1, 2 or 5 times a power of ten, with at most ten steps up to `last`. */
function tickStep(last: number): number {
  const power = 10 ** Math.floor(Math.log10(last));
  return Math.max(
    1,
    [0.1, 0.2, 0.5, 1].map((part) => part * power).find((step) => last / step <= 10) ?? power,
  );
}
