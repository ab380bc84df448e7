import { topRows, weightGreys } from '../../sae/index.js';
import { element, onClick } from '../browser/page.js';
import { latentsAtATime, type Run } from '../session/run.js';
import { wordsOf } from '../session/shown-rows.js';
import { paint, savePictures } from './tiles.js';

/** A latent's directions as grey values. */
export interface LatentTile {
  readonly decoder: Uint8Array;
  readonly encoder: Uint8Array;
}

/** Words of a latent, at most, and characters of one of them. */
const mostWords = 4;
const longestWord = 24;

/**
 * A tile for each latent, with its direction or, where rows have words in the place of pictures, those of the rows that excite it most:
 * native radio buttons, so that arrow keys move between them.
 */
export class Features {
  readonly #place = element('features');
  #run: Run | undefined;
  #canvases: HTMLCanvasElement[] = [];
  #tiles: LatentTile[] = [];
  /** The words of each latent, strongest first, once they were measured. */
  #words: readonly (readonly string[])[] | undefined;
  #first = 0;
  #latent = 0;
  /** Of the rows, where they are shown in the place of pictures. */
  #labels: readonly string[] | undefined;

  /** @param selected is called when another latent is chosen. @param redraw when other latents are to be drawn. */
  constructor(selected: () => void, redraw: () => void) {
    this.#place.addEventListener('change', ({ target }) => {
      this.#latent = Number((target as HTMLInputElement).value);
      selected();
    });
    element('feature-kind').addEventListener('change', () => this.#paint());
    const turn = (by: number) => {
      const first = this.#first + by;
      if (first >= 0 && first < this.#run!.model.hidden) {
        this.#first = first;
        this.#fill();
        redraw();
      }
    };
    onClick('feature-previous', () => turn(-latentsAtATime));
    onClick('feature-next', () => turn(latentsAtATime));
    onClick('save-features', () =>
      savePictures('features.png', this.#canvases, Math.ceil(Math.sqrt(3 * this.#canvases.length))),
    );
  }

  /** The chosen latent, from 0. */
  get latent(): number {
    return this.#latent;
  }

  /** A latent's tile; undefined if it is not on the page that is shown. */
  tile(latent: number): LatentTile | undefined {
    return this.#tiles[latent - this.#first];
  }

  /** The words of the rows that excite a latent most; undefined if it has pictures, or they are not measured yet. */
  words(latent: number): readonly string[] | undefined {
    return this.#words?.[latent];
  }

  /** Measures on all rows which words excite each latent most, and shows them, if rows have words. */
  async drawWords(run: Run): Promise<void> {
    this.#prepare(run);
    const labels = this.#labels;
    if (!labels) {
      return;
    }
    const latents = await topRows(run.model, run.dataset, { top: mostWords });
    if (this.#run === run && this.#labels === labels) {
      this.#words = latents.map(({ exciting }) => exciting.map(({ row }) => short(labels[row])));
      this.#showWords();
    }
  }

  async draw(run: Run): Promise<void> {
    this.#prepare(run);
    const first = this.#first;
    const [decoder, encoder] = await Promise.all([run.latents.drawings(first), run.latents.weights(first)]);
    if (this.#run !== run || first !== this.#first) {
      return;
    }
    const { in_dims } = run.dataset;
    const tile = (all: Float32Array, i: number) => weightGreys(all.subarray(i * in_dims, (i + 1) * in_dims));
    this.#tiles = this.#canvases.map((_, i) => ({ decoder: tile(decoder, i), encoder: tile(encoder, i) }));
    this.#paint();
  }

  /** Makes tiles for another run, or for other labels of its rows. */
  #prepare(run: Run): void {
    const labels = wordsOf(run.dataset);
    if (this.#run === run && this.#labels === labels) {
      return;
    }
    if (this.#run?.model.hidden !== run.model.hidden) {
      this.#first = 0;
      this.#latent = 0;
    }
    this.#run = run;
    this.#labels = labels;
    this.#words = undefined;
    this.#place.classList.toggle('words', labels !== undefined);
    element('feature-kind').hidden = labels !== undefined;
    this.#fill();
  }

  #paint(): void {
    const kind = document.querySelector<HTMLInputElement>('#feature-kind :checked')!
      .value as keyof LatentTile;
    this.#tiles.forEach((tile, i) => {
      paint(this.#canvases[i], tile[kind], this.#run!.shape, 'weights');
    });
  }

  #showWords(): void {
    this.#place.querySelectorAll('label').forEach((label, i) => {
      const latent = this.#first + i;
      const words = this.words(latent);
      const [input, , text] = label.children as unknown as [HTMLInputElement, Element, HTMLElement];
      const name = words?.length === 0 ? 'dead' : (words?.join(' · ') ?? '…');
      text.textContent = name;
      input.ariaLabel = `Latent ${latent + 1}${words ? `: ${name}` : ''}`;
    });
  }

  #fill(): void {
    const { hidden } = this.#run!.model;
    const first = this.#first;
    const end = Math.min(hidden, first + latentsAtATime);
    this.#tiles = [];
    this.#canvases = [];
    const labels = Array.from({ length: end - first }, (_, i) => {
      const latent = first + i;
      const label = document.createElement('label');
      const input = document.createElement('input');
      input.type = 'radio';
      input.name = 'feature';
      input.value = String(latent);
      input.ariaLabel = `Latent ${latent + 1}`;
      input.checked = latent === this.#latent;
      const canvas = document.createElement('canvas');
      [canvas.height, canvas.width] = this.#run!.shape;
      this.#canvases.push(canvas);
      label.append(input, canvas);
      if (this.#labels) {
        label.append(document.createElement('span'));
        label.dataset.latent = String(latent + 1);
      }
      return label;
    });
    const focused = this.#place.contains(document.activeElement);
    this.#place.replaceChildren(...labels);
    if (this.#labels) {
      this.#showWords();
    }
    if (focused) {
      const input =
        this.#place.querySelector<HTMLInputElement>('input:checked') ?? this.#place.querySelector('input');
      input!.focus({ preventScroll: true });
    }
    this.#place.classList.toggle('many', labels.length > 40);
    element('feature-pages').hidden = hidden <= latentsAtATime;
    element('feature-range').textContent = `${first + 1} to ${end} of ${hidden}`;
    // A button that was disabled would lose the focus.
    element('feature-previous').ariaDisabled = String(first === 0);
    element('feature-next').ariaDisabled = String(end === hidden);
  }
}

function short(label: string): string {
  // Each character is one or two code units.
  const characters = [...label.slice(0, 2 * longestWord + 2)];
  return characters.length > longestWord ? `${characters.slice(0, longestWord - 1).join('')}…` : label;
}
