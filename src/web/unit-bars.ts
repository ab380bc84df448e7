import { intervened, strongestUnits } from '../sae/index.js';
import type { Features } from './features.js';
import { element, onClick } from './page.js';
import type { Run } from './run.js';
import { paint } from './tiles.js';

/** Bars at a time: the most active units, and the chosen one. */
const most = 30;

interface Bar {
  readonly item: HTMLLIElement;
  readonly tile: HTMLCanvasElement;
  readonly name: HTMLElement;
  readonly range: HTMLInputElement;
  readonly value: HTMLElement;
  readonly on: HTMLInputElement;
}

/** The activations of the hidden units for one row, each of which can be changed or switched off. */
export class UnitBars {
  readonly #list = element('units');
  #bars: Bar[] = [];
  /** The unit of each bar. */
  #units: number[] = [];
  /** Activations that the visitor has given. They hold until the next row. */
  readonly #given = new Map<number, number>();
  /** Units that are switched off, until they are switched on again. */
  readonly #off = new Set<number>();
  #scale = 1;

  constructor(
    private readonly features: Features,
    private readonly changed: () => void,
  ) {
    onClick('restore', () => {
      this.#given.clear();
      this.#off.clear();
      // The button goes.
      element('units-title').focus({ preventScroll: true });
      changed();
    });
  }

  /** Lets go of activations that were given: another row has come. */
  release(): void {
    this.#given.clear();
  }

  /** Shows a row's codes, [hidden], with the visitor's changes made to them. */
  apply(own: Float32Array<ArrayBuffer>, { model, shape }: Run): Float32Array<ArrayBuffer> {
    const sigmoid = model.config.activation === 'sigmoid';
    const codes = intervened(own, this.#given, this.#off);
    // A bar that is being moved must stay where it is.
    const busy = this.#list.contains(document.activeElement) || this.#given.size > 0;
    const count = Math.min(most, model.hidden);
    // Chosen among another model's units, it may not be there.
    const unit = Math.min(this.features.unit, model.hidden - 1);
    const usable = this.#units.length === count && Math.max(...this.#units) < model.hidden;
    if (!busy || !usable || !this.#units.includes(unit)) {
      this.#units = strongestUnits(own, count, unit);
      this.#scale = sigmoid ? 1 : Math.max(1, Math.ceil(own[this.#units[0]] * 1.5));
    }
    while (this.#bars.length < count) {
      this.#add();
    }
    this.#bars.forEach((bar, i) => {
      bar.item.hidden = i >= count;
      if (!bar.item.hidden) {
        this.#show(bar, this.#units[i], codes[this.#units[i]], shape);
      }
    });
    element('restore').hidden = this.#given.size + this.#off.size === 0;
    return codes;
  }

  #show(bar: Bar, unit: number, activation: number, shape: readonly [number, number]): void {
    const { item, tile, name, range, value, on } = bar;
    const picture = this.features.tile(unit);
    tile.classList.toggle('unknown', !picture);
    if (picture) {
      paint(tile, picture.draws, shape, 'weights');
    }
    name.textContent = String(unit + 1);
    range.max = String(this.#scale);
    range.value = String(activation);
    range.ariaLabel = `Activation of unit ${unit + 1}`;
    range.setAttribute('aria-valuetext', activation.toFixed(2));
    range.style.setProperty('--fill', `${(100 * Math.min(activation, this.#scale)) / this.#scale}%`);
    value.textContent = activation.toFixed(2);
    on.checked = !this.#off.has(unit);
    on.ariaLabel = `Unit ${unit + 1} on`;
    item.classList.toggle('changed', this.#given.has(unit) || this.#off.has(unit));
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
      this.#given.set(this.#units[index], range.valueAsNumber);
      this.#off.delete(this.#units[index]);
      this.changed();
    });
    on.addEventListener('change', () => {
      const unit = this.#units[index];
      if (on.checked) {
        this.#off.delete(unit);
      } else {
        this.#off.add(unit);
        this.#given.delete(unit);
      }
      this.changed();
    });
    item.append(tile, name, range, value, label);
    this.#bars.push(bar);
    this.#list.append(item);
  }
}
