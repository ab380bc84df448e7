import {
  type Dataset,
  greys,
  imageShape,
  pickRows,
  rowOfGreys,
  shownReconstructions,
  shownRows,
} from '../../sae/index.js';
import { element, onClick } from '../browser/page.js';
import type { Run } from '../session/run.js';
import { wordsOf } from '../session/shown-rows.js';
import type { Features } from './features.js';
import { LatentBars } from './latent-bars.js';
import { paint, savePictures } from './tiles.js';
import { Word } from './word.js';

/** Pixels of the drawing sheet for each value of a row, along each side, so that strokes are smooth. */
const fineness = 10;
/** Of the pen, as a share of the picture's height: about what MNIST's digits have. */
const penWidth = 0.085;

/** A drawing, or a row of the data, and its reconstruction from the code that the latents' bars show. */
export class Pad {
  readonly #pad = element<HTMLCanvasElement>('pad');
  readonly #output = element<HTMLCanvasElement>('pad-output');
  readonly #bars: LatentBars;
  readonly #word = new Word((row) => {
    this.#next = row;
    this.#take();
    this.redraw();
  });
  /** What is drawn, white on black, at the sheet's resolution. */
  readonly #sheet = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })!;
  /** The same, one pixel per value. */
  readonly #small = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })!;
  #run: Run | undefined;
  #dataset: Dataset | undefined;
  /** Whether rows are images. */
  #drawable = false;
  #row: Dataset | undefined;
  #next = 0;
  /** The requested frame that will read the sheet. */
  #frame = 0;

  constructor(
    features: Features,
    private readonly redraw: () => void,
  ) {
    this.#bars = new LatentBars(features, redraw);
    this.#pad.addEventListener('pointerdown', (event) => this.#begin(event));
    this.#pad.addEventListener('pointermove', (event) => this.#move(event));
    onClick('clear', () => {
      if (this.#run) {
        this.#wipe();
        this.#read();
      }
    });
    onClick('another', () => {
      if (this.#run) {
        this.#next += 1;
        this.#take();
        redraw();
      }
    });
    onClick('save-pad', () => savePictures('drawing.png', [this.#pad, this.#output], 2));
  }

  /** The latents that are shown with their activations. */
  get latents(): readonly number[] {
    return this.#bars.latents;
  }

  async draw(run: Run): Promise<void> {
    const { dataset, shape, range, drawing } = run;
    this.#drawable = imageShape(dataset) !== undefined;
    const hasWords = wordsOf(dataset) !== undefined;
    element('pad-title').textContent = this.#drawable ? 'Draw' : hasWords ? 'Type a word' : 'One row';
    element('clear').hidden = !this.#drawable;
    element('pad-pictures').hidden = hasWords;
    element('save-pad').hidden = hasWords;
    this.#word.prepare(dataset);
    this.#pad.classList.toggle('drawable', this.#drawable);
    this.#run = run;
    if (this.#dataset !== dataset) {
      this.#dataset = dataset;
      this.#next = 0;
      this.#take();
    }
    this.#paint();
    const row = this.#row!;
    const codes = this.#bars.apply(await drawing.encode(row), run);
    const reconstruction = await drawing.decode(codes);
    this.#word.showNearest(reconstruction, row);
    const output = shownReconstructions(reconstruction, row);
    paint(this.#output, greys(output, range), shape, 'rows');
  }

  #paint(): void {
    const { shape, range } = this.#run!;
    paint(this.#pad, greys(shownRows(this.#row!), range), shape, 'rows');
    const [label] = this.#row!.labels ?? [];
    this.#word.show(label);
    element('pad-caption').textContent = label ?? (this.#drawable ? 'draw here' : 'a row');
    this.#pad.ariaLabel = this.#drawable
      ? 'Drawing pad: draw with a pointer, or take one from the data'
      : `A row of the data${label === undefined ? '' : `: ${label}`}`;
  }

  /** Puts a row of the data on the sheet. */
  #take(): void {
    const { dataset, shape, range } = this.#run!;
    this.#row = pickRows(dataset, [this.#next % dataset.rows]);
    this.#wipe();
    const [height, width, channels = 1] = shape;
    const image = this.#small.createImageData(width, height);
    const values = greys(shownRows(this.#row), range);
    for (let i = 0; i < height * width; i++) {
      const [red, green = red, blue = red] = values.subarray(i * channels, (i + 1) * channels);
      image.data.set([red, green, blue, 255], 4 * i);
    }
    this.#small.putImageData(image, 0, 0);
    this.#sheet.drawImage(this.#small.canvas, 0, 0, width * fineness, height * fineness);
  }

  /** Makes the sheet black. */
  #wipe(): void {
    const [height, width] = this.#run!.shape;
    Object.assign(this.#small.canvas, { width, height });
    Object.assign(this.#sheet.canvas, { width: width * fineness, height: height * fineness });
    cancelAnimationFrame(this.#frame);
    this.#sheet.fillRect(0, 0, width * fineness, height * fineness);
    this.#bars.release();
  }

  #begin(event: PointerEvent): void {
    if (!this.#drawable || event.button !== 0) {
      return;
    }
    event.preventDefault();
    this.#pad.setPointerCapture(event.pointerId);
    this.#bars.release();
    const [height] = this.#run!.shape;
    Object.assign(this.#sheet, { strokeStyle: 'white', lineCap: 'round', lineJoin: 'round' });
    this.#sheet.lineWidth = height * fineness * penWidth;
    this.#sheet.beginPath();
    this.#sheet.moveTo(...this.#place(event));
    this.#stroke(event);
  }

  #move(event: PointerEvent): void {
    if (this.#pad.hasPointerCapture(event.pointerId)) {
      for (const between of event.getCoalescedEvents()) {
        this.#sheet.lineTo(...this.#place(between));
      }
      this.#stroke(event);
    }
  }

  #stroke(event: PointerEvent): void {
    this.#sheet.lineTo(...this.#place(event));
    this.#sheet.stroke();
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#read());
  }

  /** Where a pointer is on the sheet. */
  #place({ clientX, clientY }: PointerEvent): [number, number] {
    const { left, top, width, height } = this.#pad.getBoundingClientRect();
    const { canvas } = this.#sheet;
    return [((clientX - left) / width) * canvas.width, ((clientY - top) / height) * canvas.height];
  }

  /** Makes a row of what is on the sheet. */
  #read(): void {
    const { dataset, shape, range } = this.#run!;
    const [height, width, channels = 1] = shape;
    this.#small.imageSmoothingQuality = 'high';
    this.#small.drawImage(this.#sheet.canvas, 0, 0, width, height);
    const { data } = this.#small.getImageData(0, 0, width, height);
    // Of a grey one, red, green and blue are the same.
    const values = Uint8Array.from(
      { length: width * height * channels },
      (_, i) => data[4 * Math.floor(i / channels) + (i % channels)],
    );
    this.#row = rowOfGreys(dataset, values, range);
    this.#paint();
    this.redraw();
  }
}
