import { BarChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { type EChartsCoreOption, type EChartsType, init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { el } from './dom.js';

use([BarChart, LineChart, ScatterChart, GridComponent, CanvasRenderer]);

/** Colours of the style sheet, as rgb(...). */
export interface Colours {
  readonly text: string;
  readonly quiet: string;
  readonly edge: string;
  readonly card: string;
  /** Of curves, bars and points: told apart by those who do not see all colours, and never by colour alone. */
  readonly series: readonly string[];
}

interface ChartSettings {
  /** In CSS pixels. */
  readonly height: number;
  /** Is called whenever the chart has been drawn. */
  readonly drawn?: (echarts: EChartsType, colours: Colours) => void;
}

/** Width of a chart on paper, in CSS pixels. */
const paperWidth = 640;

/** A chart, drawn anew when its size, the colour scheme or the medium changes. */
export class Chart {
  readonly element: HTMLElement;
  readonly #place: HTMLElement;
  readonly #option: (colours: Colours) => EChartsCoreOption;
  readonly #settings: ChartSettings;
  #chart: EChartsType | undefined;

  /**
   * @param alternative what the chart shows, in words made of its numbers.
   * @param option what ECharts draws, in given colours.
   */
  constructor(
    alternative: string,
    option: (colours: Colours) => EChartsCoreOption,
    settings: Partial<ChartSettings> = {},
  ) {
    this.#option = option;
    this.#settings = { height: 260, ...settings };
    this.#place = el('div', { class: 'canvas', role: 'img', 'aria-label': alternative });
    this.#place.style.height = `${this.#settings.height}px`;
    this.element = el('div', { class: 'chart' }, this.#place);
    shown.add(this);
    resized.observe(this.#place);
  }

  draw(width?: number): void {
    if (width === undefined && this.#place.clientWidth === 0) return;
    this.#chart ??= init(this.#place, null, { renderer: 'canvas' });
    const colours = readColours();
    this.#chart.resize({ width: width ?? this.#place.clientWidth, height: this.#settings.height });
    this.#chart.setOption({ animation: false, ...this.#option(colours) }, { notMerge: true });
    this.#chart.getZr().flush();
    this.#settings.drawn?.(this.#chart, colours);
  }

  dispose(): void {
    resized.unobserve(this.#place);
    this.#chart?.dispose();
    shown.delete(this);
  }
}

const shown = new Set<Chart>();
// What is there to read appears first, and charts just after it.
const resized = new ResizeObserver((entries) => {
  setTimeout(() => {
    for (const chart of shown) {
      if (entries.some(({ target }) => chart.element.contains(target))) chart.draw();
    }
  });
});

/** Ends the charts that are no longer in the document. */
export function disposeCharts(): void {
  for (const chart of shown) if (!chart.element.isConnected) chart.dispose();
}

function drawAll(width?: number): void {
  for (const chart of shown) chart.draw(width);
}

for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
  matchMedia(query).addEventListener('change', () => drawAll());
}
// Paper is white, and as wide as it is.
addEventListener('beforeprint', () => {
  document.documentElement.classList.add('paper');
  drawAll(paperWidth);
});
addEventListener('afterprint', () => {
  document.documentElement.classList.remove('paper');
  drawAll();
});

/** System colours, too, become rgb(...) here: a canvas takes no others for sure. */
function readColours(): Colours {
  const probe = el('span', { hidden: true });
  document.body.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    text: read('--text'),
    quiet: read('--quiet'),
    edge: read('--edge'),
    card: read('--card'),
    series: ['--series-1', '--series-2', '--series-3', '--series-4'].map(read),
  };
  probe.remove();
  return colours;
}

/** What all axes have in common, which is named along its side. */
export function axis(colours: Colours, name: string, vertical: boolean) {
  return {
    name,
    nameLocation: vertical ? 'end' : 'middle',
    nameGap: vertical ? 10 : 28,
    nameTextStyle: {
      color: colours.quiet,
      fontSize: 12,
      align: vertical ? 'left' : 'center',
      padding: vertical ? [0, 0, 0, -34] : 0,
    },
    axisLabel: { color: colours.quiet, fontSize: 12, hideOverlap: true },
    axisLine: { show: true, lineStyle: { color: colours.edge } },
    axisTick: { lineStyle: { color: colours.edge } },
    splitLine: { lineStyle: { color: colours.edge } },
    minorSplitLine: { show: false },
  } as const;
}

/** Labels and names of axes are inside of these edges. */
export const grid = { left: 4, right: 14, top: 6, bottom: 6, outerBoundsMode: 'same' } as const;
