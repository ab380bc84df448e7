import { BarChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { greys, type LatentActivity, type LatentSurvey, pickRows, shownRows } from '../../sae/index.js';
import { element, onClick, pictureCanvas, showText } from '../browser/page.js';
import type { Run } from '../session/run.js';
import { wordsOf } from '../session/shown-rows.js';
import type { LatentTile } from './features.js';
import { cssColours, paint, savePictures } from './tiles.js';

use([BarChart, GridComponent, CanvasRenderer]);

/** Top-activating rows that are shown, at most. */
const top = 16;

/** One latent: its directions, how often and how strongly it is active, and its top-activating rows. */
export class Inspector {
  readonly #place = element('inspector');
  readonly #histogram = init(element('histogram'), null, { renderer: 'canvas' });
  readonly #decoder = element<HTMLCanvasElement>('latent-decoder');
  readonly #encoder = element<HTMLCanvasElement>('latent-encoder');
  readonly #rows = Array.from({ length: top }, () => pictureCanvas('A row'));
  readonly #figures = this.#rows.map((row) => {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    caption.append(document.createElement('span'), ' ', document.createElement('span'));
    figure.append(row, caption);
    return figure;
  });

  constructor() {
    new ResizeObserver(() => this.#histogram.resize()).observe(element('histogram'));
    for (const [i, figure] of this.#figures.entries()) {
      figure.hidden = true;
      this.#rows[i].hidden = true;
    }
    element('top-rows').append(...this.#figures);
    onClick('save-inspector', () => {
      const rows = this.#rows.filter((row) => row.checkVisibility({ visibilityProperty: true }));
      savePictures('latent.png', [this.#decoder, this.#encoder, ...rows], 6);
    });
  }

  /** Shows a latent's directions. */
  drawDirections({ shape }: Run, latent: number, tile: LatentTile | undefined): void {
    showText('inspector-title', `Latent ${latent + 1}`);
    if (tile) {
      paint(this.#decoder, tile.decoder, shape, 'weights');
      paint(this.#encoder, tile.encoder, shape, 'weights');
    }
  }

  /** Shows how a latent responds to rows, as far as that is known. */
  drawActivity({ dataset, shape, range }: Run, latent: number, survey: LatentSurvey | undefined): void {
    this.#place.classList.toggle('waiting', !survey);
    if (!survey) {
      element('density').textContent = 'Measuring on all rows.';
      return;
    }
    const activity = survey.of(latent);
    const density = describe(activity, survey);
    element('density').textContent = density;
    element('histogram').ariaLabel = `Histogram of its activations. ${density}`;
    this.#drawHistogram(activity.histogram.counts);

    const { exciting } = activity;
    const rows = pickRows(
      dataset,
      exciting.map(({ row }) => row),
    );
    const values = shownRows(rows);
    const hasWords = wordsOf(dataset) !== undefined;
    element('top-rows').classList.toggle('words', hasWords);
    this.#place.classList.toggle('words', hasWords);
    element('save-inspector').hidden = hasWords;
    this.#figures.forEach((figure, i) => {
      const canvas = this.#rows[i];
      figure.hidden = i >= exciting.length;
      canvas.hidden = figure.hidden || hasWords;
      if (figure.hidden) {
        return;
      }
      const { row, activation } = exciting[i];
      const label = rows.labels?.[i];
      paint(canvas, greys(values.subarray(i * rows.in_dims, (i + 1) * rows.in_dims), range), shape, 'rows');
      const place = dataset.places?.[row] ?? row;
      figure.title = `Row ${place}${label === undefined ? '' : `, ${label}`}: activation ${activation.toPrecision(3)}`;
      canvas.ariaLabel = figure.title;
      const caption = figure.querySelector('figcaption')!;
      caption.hidden = label === undefined;
      caption.firstElementChild!.textContent = label ?? '';
      caption.lastElementChild!.textContent = hasWords ? activation.toPrecision(3) : '';
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

function describe({ density, mean, max }: LatentActivity, survey: LatentSurvey): string {
  const { complete, measured, rows } = survey;
  const some = `${measured.toLocaleString('en')} of ${rows.toLocaleString('en')} rows so far`;
  if (density === 0) {
    return complete ? 'Active for no row: a dead latent.' : `Active for none of ${some}.`;
  }
  const share = density.toLocaleString('en', { style: 'percent', maximumSignificantDigits: 2 });
  const those = complete ? 'the rows' : some;
  return `Active for ${share} of ${those}: at ${mean.toPrecision(2)} on average, ${max.toPrecision(2)} at most.`;
}
