import { type ImageShape, intervened, strongestLatents } from '../../sae/index.js';
import { element, onClick } from '../browser/page.js';
import type { Run } from '../session/run.js';
import { wordsOf } from '../session/shown-rows.js';
import type { Features } from './features.js';
import { paint } from './tiles.js';

/** Bars at a time, at most: the most active latents, and the chosen one. */
const most = 30;

interface Bar {
  readonly item: HTMLLIElement;
  readonly tile: HTMLCanvasElement;
  readonly name: HTMLElement;
  readonly range: HTMLInputElement;
  readonly value: HTMLElement;
  readonly on: HTMLInputElement;
}

/** The activations of the latents for one row. Each can be changed or switched off. */
export class LatentBars {
  readonly #list = element('latents');
  #bars: Bar[] = [];
  /** The latent of each bar. */
  #latents: number[] = [];
  /** Activations that the visitor has set. They hold until the next row. */
  readonly #given = new Map<number, number>();
  /** Latents that the visitor has switched off. */
  readonly #off = new Set<number>();
  #scale = 1;

  constructor(
    private readonly features: Features,
    private readonly changed: () => void,
  ) {
    onClick('restore', () => {
      this.#given.clear();
      this.#off.clear();
      // The button is hidden now, so the focus needs another place.
      element('latents-title').focus({ preventScroll: true });
      changed();
    });
  }

  /** The latents that have bars. */
  get latents(): readonly number[] {
    return this.#latents;
  }

  /** Forgets the activations that were set: there is another row. */
  release(): void {
    this.#given.clear();
  }

  /** Applies the visitor's changes to a row's code, [hidden], and shows it. */
  apply(own: Float32Array<ArrayBuffer>, { model, shape, dataset }: Run): Float32Array<ArrayBuffer> {
    const sigmoid = model.config.activation === 'sigmoid';
    const codes = intervened(own, this.#given, this.#off);
    // A bar that is being moved must stay in place.
    const busy = this.#list.contains(document.activeElement) || this.#given.size > 0;
    const count = Math.min(most, model.hidden);
    // It may have been chosen in a model with more latents.
    const latent = Math.min(this.features.latent, model.hidden - 1);
    const usable = this.#latents.length === count && Math.max(...this.#latents) < model.hidden;
    if (!busy || !usable || !this.#latents.includes(latent)) {
      this.#latents = strongestLatents(own, count, latent);
      this.#scale = sigmoid ? 1 : Math.max(1, Math.ceil(own[this.#latents[0]] * 1.5));
    }
    this.#list.classList.toggle('words', wordsOf(dataset) !== undefined);
    while (this.#bars.length < count) {
      this.#add();
    }
    this.#bars.forEach((bar, i) => {
      bar.item.hidden = i >= count;
      if (!bar.item.hidden) {
        this.#show(bar, this.#latents[i], codes[this.#latents[i]], shape);
      }
    });
    element('restore').hidden = this.#given.size + this.#off.size === 0;
    return codes;
  }

  #show(bar: Bar, latent: number, activation: number, shape: ImageShape): void {
    const { item, tile, name, range, value, on } = bar;
    const picture = this.features.tile(latent);
    tile.classList.toggle('unknown', !picture);
    if (picture) {
      paint(tile, picture.decoder, shape, 'weights');
    }
    const [word] = this.features.words(latent) ?? [];
    name.textContent = word === undefined ? String(latent + 1) : `${latent + 1} ${word}`;
    name.title = name.textContent;
    range.max = String(this.#scale);
    range.value = String(activation);
    range.ariaLabel = `Activation of latent ${latent + 1}${word === undefined ? '' : `, ${word}`}`;
    range.setAttribute('aria-valuetext', activation.toFixed(2));
    range.style.setProperty('--fill', `${(100 * Math.min(activation, this.#scale)) / this.#scale}%`);
    value.textContent = activation.toFixed(2);
    on.checked = !this.#off.has(latent);
    on.ariaLabel = `Latent ${latent + 1} on`;
    item.classList.toggle('changed', this.#given.has(latent) || this.#off.has(latent));
  }

  #add(): void {
    const make = <K extends keyof HTMLElementTagNameMap>(tag: K) => document.createElement(tag);
    const index = this.#bars.length;
    const bar: Bar = {
      item: make('li'),
      tile: make('canvas'),
      name: make('span'),
      range: make('input'),
      value: make('span'),
      on: make('input'),
    };
    const { item, tile, name, range, value, on } = bar;
    value.className = 'value';
    range.type = 'range';
    range.min = '0';
    range.step = '0.01';
    on.type = 'checkbox';
    const label = make('label');
    label.append(on, 'on');
    range.addEventListener('input', () => {
      this.#given.set(this.#latents[index], range.valueAsNumber);
      this.#off.delete(this.#latents[index]);
      this.changed();
    });
    on.addEventListener('change', () => {
      const latent = this.#latents[index];
      if (on.checked) {
        this.#off.delete(latent);
      } else {
        this.#off.add(latent);
        this.#given.delete(latent);
      }
      this.changed();
    });
    item.append(tile, name, range, value, label);
    this.#bars.push(bar);
    this.#list.append(item);
  }
}
