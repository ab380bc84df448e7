import {
  type Dataset,
  type GreyRange,
  greys,
  type ImageShape,
  imageShape,
  inputRange,
  NearestRows,
  pickRows,
  sampleRows,
  shownReconstructions,
  shownRows,
  storedUnits,
} from '../../sae/index.js';
import { element, onClick, pictureCanvas } from '../browser/page.js';
import { type Run, sampleCount } from '../session/run.js';
import { wordsOf } from '../session/shown-rows.js';
import { paint, savePictures } from './tiles.js';

/** Some rows of the data, each above its reconstruction and its label. */
export class Samples {
  readonly #place = element('samples');
  readonly #originals = canvases('Row');
  readonly #reconstructions = canvases('Reconstruction of row');
  readonly #figures = this.#originals.map((original, i) => {
    const figure = document.createElement('figure');
    const nearest = document.createElement('p');
    nearest.title = 'The word nearest to the reconstruction, and the cosine';
    figure.append(original, this.#reconstructions[i], document.createElement('figcaption'), nearest);
    return figure;
  });
  #seed = 1;
  #dataset: Dataset | undefined;
  #rows: Dataset | undefined;
  /** Where rows have words in the place of pictures. */
  #words: NearestRows | undefined;
  #shape: ImageShape = [1, 1];
  #range: GreyRange = [0, 1];

  constructor(redraw: () => void) {
    this.#place.append(...this.#figures);
    onClick('other-samples', () => {
      this.#seed += 1;
      this.forget();
      redraw();
    });
    onClick('save-samples', () =>
      savePictures('reconstructions.png', [...this.#originals, ...this.#reconstructions], sampleCount),
    );
  }

  /** Has the originals drawn again. */
  forget(): void {
    this.#dataset = undefined;
  }

  /** Shows rows of the data, which needs no device. */
  showOriginals(dataset: Dataset): void {
    const rows = pickRows(dataset, sampleRows(dataset.rows, sampleCount, this.#seed));
    const what = whatRowsAre(dataset.name);
    element('samples-title').textContent = `${what} and their reconstructions`;
    element('save-samples').ariaLabel = `Save ${what.toLowerCase()} and reconstructions as PNG`;
    this.#dataset = dataset;
    this.#rows = rows;
    const image = imageShape(dataset);
    this.#shape = image ?? [1, dataset.in_dims];
    this.#range = inputRange(dataset);
    const words = wordsOf(dataset);
    if (this.#words?.dataset !== dataset) {
      this.#words = words && new NearestRows(dataset);
    }
    this.#place.classList.toggle('strips', !image);
    this.#place.classList.toggle('words', words !== undefined);
    element('save-samples').hidden = words !== undefined;
    this.#figures.forEach((figure, i) => {
      const label = rows.labels?.[i];
      figure.hidden = i >= rows.rows;
      const caption = figure.querySelector('figcaption')!;
      caption.hidden = label === undefined;
      caption.textContent = label ?? '';
      caption.title = label ?? '';
      const nearest = figure.querySelector('p')!;
      nearest.hidden = words === undefined;
      nearest.textContent = '…';
    });
    this.#paint(this.#originals, shownRows(rows));
  }

  async draw({ samples, dataset }: Pick<Run, 'samples' | 'dataset'>): Promise<void> {
    if (this.#dataset !== dataset) {
      this.showOriginals(dataset);
    }
    const rows = this.#rows!;
    const { reconstructions } = await samples.reconstruct(rows);
    this.#paint(this.#reconstructions, shownReconstructions(reconstructions, rows));
    this.#showNearest(reconstructions);
  }

  /** Shows the word nearest to each reconstruction, [rows, in_dims]. */
  #showNearest(reconstructions: Float32Array<ArrayBuffer>): void {
    const rows = this.#rows!;
    const words = this.#words;
    if (!words) return;
    const stored = storedUnits(reconstructions, rows);
    this.#figures.slice(0, rows.rows).forEach((figure, i) => {
      const own = stored.subarray(i * rows.in_dims, (i + 1) * rows.in_dims);
      const [near] = words.of(own, 1);
      figure.querySelector('p')!.textContent = `${words.dataset.labels![near.row]} ${near.cosine.toFixed(2)}`;
    });
  }

  #paint(places: readonly HTMLCanvasElement[], values: Float32Array): void {
    const { rows, in_dims } = this.#rows!;
    places.forEach((canvas, i) => {
      canvas.hidden = i >= rows;
      if (!canvas.hidden) {
        const own = values.subarray(i * in_dims, (i + 1) * in_dims);
        paint(canvas, greys(own, this.#range), this.#shape, 'rows');
      }
    });
  }
}

function whatRowsAre(dataset: string): string {
  if (dataset.startsWith('mnist')) return 'Digits';
  return dataset === 'words-10k' ? 'Words' : 'Rows';
}

function canvases(name: string): HTMLCanvasElement[] {
  return Array.from({ length: sampleCount }, (_, i) => pictureCanvas(`${name} ${i + 1}`));
}
