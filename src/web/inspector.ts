import { BarChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { greys, normalizedRows, pickRows, type UnitActivity, unitActivity } from '../sae/index.js';
import type { UnitTile } from './features.js';
import { element, onClick, pictureCanvas } from './page.js';
import type { Run } from './run.js';
import { cssColours, paint, savePictures } from './tiles.js';

use([BarChart, GridComponent, CanvasRenderer]);

/** Rows that excite a unit most. */
const top = 16;

/** One unit: its weights, how often and how strongly it fires, and the rows that excite it most. */
export class Inspector {
  readonly #place = element('inspector');
  readonly #histogram = init(element('histogram'), null, { renderer: 'canvas' });
  readonly #draws = element<HTMLCanvasElement>('unit-draws');
  readonly #sees = element<HTMLCanvasElement>('unit-sees');
  readonly #rows = Array.from({ length: top }, () => pictureCanvas('A row'));

  constructor() {
    new ResizeObserver(() => this.#histogram.resize()).observe(element('histogram'));
    for (const row of this.#rows) {
      row.hidden = true;
    }
    element('exciting').append(...this.#rows);
    onClick('save-inspector', () => {
      const rows = this.#rows.filter((row) => row.checkVisibility({ visibilityProperty: true }));
      savePictures('feature.png', [this.#draws, this.#sees, ...rows], 6);
    });
  }

  /** Shows a unit's weights. */
  drawWeights({ shape }: Run, unit: number, tile: UnitTile | undefined): void {
    const title = element('inspector-title');
    const name = `Feature ${unit + 1}`;
    // It is announced, but not again with every look at the weights.
    if (title.textContent !== name) {
      title.textContent = name;
    }
    if (tile) {
      paint(this.#draws, tile.draws, shape, 'weights');
      paint(this.#sees, tile.sees, shape, 'weights');
    }
  }

  /** Takes away how another unit responds. */
  forgetActivity(): void {
    this.#place.classList.add('waiting');
    element('density').textContent = 'Looking through the rows.';
  }

  /** Sends all rows through the encoder, and shows how the unit responds. @throws the signal's reason. */
  async drawActivity(run: Run, unit: number, signal: AbortSignal): Promise<void> {
    const { model, dataset, shape, range } = run;
    const activity = await unitActivity(model, dataset, unit, { top, signal });
    signal.throwIfAborted();
    this.#place.classList.remove('waiting');
    const density = describe(activity);
    element('density').textContent = density;
    element('histogram').ariaLabel = `Histogram of its activations. ${density}`;
    this.#drawHistogram(activity.histogram.counts);

    const { exciting } = activity;
    const rows = pickRows(
      dataset,
      exciting.map(({ row }) => row),
    );
    const values = normalizedRows(rows);
    this.#rows.forEach((canvas, i) => {
      canvas.hidden = i >= exciting.length;
      if (!canvas.hidden) {
        const { row, activation } = exciting[i];
        paint(canvas, greys(values.subarray(i * rows.in_dims, (i + 1) * rows.in_dims), range), shape, 'rows');
        canvas.title = `Row ${row}: activation ${activation.toPrecision(3)}`;
        canvas.ariaLabel = canvas.title;
      }
    });
  }

  #drawHistogram(counts: readonly number[]): void {
    const [colour, edge] = cssColours('--accent', '--edge');
    this.#histogram.setOption({
      animation: false,
      grid: { left: 0, right: 0, top: 2, bottom: 1, outerBoundsMode: 'none' },
      xAxis: {
        type: 'category',
        axisLabel: { show: false },
        axisTick: { show: false },
        axisLine: { lineStyle: { color: edge } },
      },
      yAxis: { type: 'value', show: false },
      series: [{ type: 'bar', data: [...counts], color: colour, barCategoryGap: '12%', silent: true }],
    });
  }
}

function describe({ density, mean, max }: UnitActivity): string {
  if (density === 0) {
    return 'It is active for no row: a dead unit.';
  }
  const share = density.toLocaleString('en', { style: 'percent', maximumSignificantDigits: 2 });
  return `Active for ${share} of the rows: at ${mean.toPrecision(2)} on average, ${max.toPrecision(2)} at most.`;
}
