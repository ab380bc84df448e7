import { imageShape, type LatentSurvey, weightGreys } from '../../sae/index.js';
import { element, onClick } from '../browser/page.js';
import { mostPictures, type Run } from '../session/run.js';
import { wordsOf } from '../session/shown-rows.js';
import { LatentList } from './latent-list.js';
import { paint, savePictures } from './tiles.js';

/** A latent's directions as grey values. */
export interface LatentTile {
  readonly decoder: Uint8Array;
  readonly encoder: Uint8Array;
}

/** What tiles show: what is orange is above zero, what is blue below it. */
const meanings: Readonly<Record<keyof LatentTile, string>> = {
  decoder: 'Orange: what a latent adds; blue: what it takes away.',
  encoder: 'Orange: what excites a latent; blue: what holds it back.',
};

/** Words of a latent that are shown, and those that it is found by; characters of one of them. At most. */
const mostWords = 4;
const mostFoundBy = 10;
const longestWord = 24;

/**
 * A tile for each latent of a page, with its direction or, where rows have words in the place of pictures, those of the rows that
 * excite it most: native radio buttons, so that arrow keys move between them.
 */
export class Features {
  readonly #place = element('features');
  readonly #list: LatentList;
  #run: Run | undefined;
  #survey: LatentSurvey | undefined;
  #canvases: HTMLCanvasElement[] = [];
  readonly #tiles = new Map<number, LatentTile>();
  /** The labels of the rows that excite each latent, as far as they were asked for. */
  #labelsOf: (readonly string[])[] = [];
  #latent = 0;
  /** Of the rows: shown in the place of pictures, if rows are none. */
  #labels: readonly string[] | undefined;

  /** @param selected is called when another latent is chosen. @param redraw when other latents are to be drawn. */
  constructor(selected: () => void, redraw: () => void) {
    const choose = (latent: number) => {
      this.#latent = latent;
      selected();
    };
    this.#list = new LatentList(
      () => {
        this.#fill();
        redraw();
      },
      (latent) => {
        choose(latent);
        this.#fill();
        this.#place.querySelector<HTMLInputElement>('input:checked')!.focus();
      },
    );
    this.#place.addEventListener('change', ({ target }) =>
      choose(Number((target as HTMLInputElement).value)),
    );
    element('feature-kind').addEventListener('change', () => {
      if (!this.#run) return;
      this.#explain();
      this.#paint();
    });
    onClick('save-features', () =>
      savePictures('latents.png', this.#canvases, Math.ceil(Math.sqrt(3 * this.#canvases.length))),
    );
  }

  /** The chosen latent, from 0. */
  get latent(): number {
    return this.#latent;
  }

  /** A latent's tile; undefined if it has not been drawn. */
  tile(latent: number): LatentTile | undefined {
    return this.#tiles.get(latent);
  }

  /** The words of the rows that excite a latent most; undefined if it has pictures, or they are not measured yet. */
  words(latent: number): readonly string[] | undefined {
    return this.#run && this.#survey && wordsOf(this.#run.dataset)
      ? this.#foundBy(latent).slice(0, mostWords)
      : undefined;
  }

  /** Shows what is known of the latents: their words, which are dead, and their order. */
  show(run: Run, survey: LatentSurvey): void {
    this.#prepare(run);
    this.#survey = survey;
    this.#labelsOf = [];
    const before = this.#list.page;
    this.#relist();
    this.#explain();
    const same =
      before.length === this.#list.page.length && before.every((latent, i) => latent === this.#list.page[i]);
    if (same) {
      this.#name();
    } else {
      this.#fill();
    }
  }

  /** Draws the latents of the page, and others. */
  async draw(run: Run, others: readonly number[]): Promise<void> {
    this.#prepare(run);
    // Words have the place of pictures, but for the latent that is looked into.
    const page = wordsOf(run.dataset) ? [] : this.#list.page;
    const latents = [...new Set([...page, this.#latent, ...others])].slice(0, mostPictures);
    const [decoder, encoder] = await Promise.all([
      run.latents.drawings(latents),
      run.latents.weights(latents),
    ]);
    if (this.#run !== run) {
      return;
    }
    const { in_dims } = run.dataset;
    const tile = (all: Float32Array, i: number) => weightGreys(all.subarray(i * in_dims, (i + 1) * in_dims));
    this.#tiles.clear();
    latents.forEach((latent, i) => {
      this.#tiles.set(latent, { decoder: tile(decoder, i), encoder: tile(encoder, i) });
    });
    this.#paint();
  }

  /** Makes tiles for another run, or for other labels of its rows. */
  #prepare(run: Run): void {
    const { labels } = run.dataset;
    if (this.#run === run && this.#labels === labels) {
      return;
    }
    if (this.#run?.model.hidden !== run.model.hidden) {
      this.#latent = 0;
    }
    if (this.#run !== run) {
      this.#survey = undefined;
      this.#tiles.clear();
    }
    this.#run = run;
    this.#labels = labels;
    this.#labelsOf = [];
    const hasWords = wordsOf(run.dataset) !== undefined;
    this.#place.classList.toggle('words', hasWords);
    element('feature-kind').hidden = hasWords;
    element('save-features').hidden = hasWords;
    element<HTMLInputElement>('latent-search').placeholder = labels
      ? 'Find by number or word'
      : 'Find by number';
    this.#relist();
    this.#explain();
    this.#fill();
  }

  /** Says what tiles show, and how much of it is known. */
  #explain(): void {
    const { dataset } = this.#run!;
    const colours = imageShape(dataset)?.length === 3;
    const what = wordsOf(dataset)
      ? 'The words that excite each latent most.'
      : colours
        ? 'What each latent adds to red, green and blue, or takes away: zero is a middle grey.'
        : meanings[this.#kind];
    const survey = this.#survey;
    const measured = (survey?.measured ?? 0).toLocaleString('en');
    const known = survey?.complete
      ? ''
      : ` ${measured} of ${dataset.rows.toLocaleString('en')} rows measured.`;
    element('feature-legend').textContent = what + known;
  }

  get #kind(): keyof LatentTile {
    return document.querySelector<HTMLInputElement>('#feature-kind :checked')!.value as keyof LatentTile;
  }

  #relist(): void {
    const { hidden } = this.#run!.model;
    this.#list.list({ hidden, survey: this.#survey, words: (latent) => this.#foundBy(latent) });
  }

  #foundBy(latent: number): readonly string[] {
    const labels = this.#labels;
    if (!labels || !this.#survey) return [];
    this.#labelsOf[latent] ??= this.#survey
      .exciting(latent)
      .slice(0, mostFoundBy)
      .map(({ row }) => short(labels[row]));
    return this.#labelsOf[latent];
  }

  #paint(): void {
    const kind = this.#kind;
    this.#list.page.forEach((latent, i) => {
      const tile = this.#tiles.get(latent);
      if (tile && this.#canvases[i]) paint(this.#canvases[i], tile[kind], this.#run!.shape, 'weights');
    });
  }

  /** Names each tile by what is known of its latent. */
  #name(): void {
    const survey = this.#survey;
    this.#place.querySelectorAll('label').forEach((label, i) => {
      const latent = this.#list.page[i];
      const [input, , text] = label.children as unknown as [
        HTMLInputElement,
        Element,
        HTMLElement | undefined,
      ];
      // Of a sample, a latent that is active for none of its rows may be rare.
      const dead = survey?.complete === true && survey.density(latent) === 0;
      const words = this.words(latent);
      const said = dead ? 'dead' : words?.join(' · ');
      if (text) text.textContent = said ?? '';
      label.classList.toggle('dead', dead);
      input.ariaLabel = `Latent ${latent + 1}${said ? `: ${said}` : ''}`;
      label.title = input.ariaLabel;
    });
  }

  #fill(): void {
    const hasWords = wordsOf(this.#run!.dataset) !== undefined;
    this.#canvases = [];
    const labels = this.#list.page.map((latent) => {
      const label = document.createElement('label');
      const input = document.createElement('input');
      input.type = 'radio';
      input.name = 'feature';
      input.value = String(latent);
      input.checked = latent === this.#latent;
      const canvas = document.createElement('canvas');
      [canvas.height, canvas.width] = this.#run!.shape;
      this.#canvases.push(canvas);
      label.append(input, canvas);
      if (hasWords) {
        label.append(document.createElement('span'));
        label.dataset.latent = String(latent + 1);
      }
      return label;
    });
    const focused = this.#place.contains(document.activeElement);
    this.#place.replaceChildren(...labels);
    this.#name();
    this.#paint();
    if (focused) {
      const input =
        this.#place.querySelector<HTMLInputElement>('input:checked') ?? this.#place.querySelector('input');
      input?.focus({ preventScroll: true });
    }
    this.#place.classList.toggle('many', labels.length > 40);
  }
}

function short(label: string): string {
  // Each character is one or two code units.
  const characters = [...label.slice(0, 2 * longestWord + 2)];
  return characters.length > longestWord ? `${characters.slice(0, longestWord - 1).join('')}…` : label;
}
