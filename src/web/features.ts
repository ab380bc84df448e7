import { weightGreys } from '../sae/index.js';
import { element, onClick } from './page.js';
import { type Run, unitsAtATime } from './run.js';
import { paint, savePictures } from './tiles.js';

/** Grey values of what a unit draws and of what excites it. */
export interface UnitTile {
  readonly draws: Uint8Array;
  readonly sees: Uint8Array;
}

/** A tile for each unit of the last encoder layer: native radio buttons, so that arrow keys walk through them. */
export class Features {
  readonly #place = element('features');
  #run: Run | undefined;
  #canvases: HTMLCanvasElement[] = [];
  #tiles: UnitTile[] = [];
  #first = 0;
  #unit = 0;

  /** @param selected is told when another unit has been chosen. */
  constructor(selected: () => void, redraw: () => void) {
    this.#place.addEventListener('change', ({ target }) => {
      this.#unit = Number((target as HTMLInputElement).value);
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
    onClick('feature-previous', () => turn(-unitsAtATime));
    onClick('feature-next', () => turn(unitsAtATime));
    onClick('save-features', () =>
      savePictures('features.png', this.#canvases, Math.ceil(Math.sqrt(3 * this.#canvases.length))),
    );
  }

  /** The chosen unit, from 0. */
  get unit(): number {
    return this.#unit;
  }

  /** A unit's tile; undefined where its page is not the one that is shown. */
  tile(unit: number): UnitTile | undefined {
    return this.#tiles[unit - this.#first];
  }

  async draw(run: Run): Promise<void> {
    if (this.#run !== run) {
      const { hidden } = run.model;
      if (this.#run?.model.hidden !== hidden) {
        this.#first = 0;
        this.#unit = 0;
      }
      this.#run = run;
      this.#fill();
    }
    const first = this.#first;
    const [draws, sees] = await Promise.all([run.units.drawings(first), run.units.weights(first)]);
    if (first !== this.#first) {
      return;
    }
    const { in_dims } = run.dataset;
    const tile = (all: Float32Array, i: number) => weightGreys(all.subarray(i * in_dims, (i + 1) * in_dims));
    this.#tiles = this.#canvases.map((_, i) => ({ draws: tile(draws, i), sees: tile(sees, i) }));
    this.#paint();
  }

  #paint(): void {
    const kind = document.querySelector<HTMLInputElement>('#feature-kind :checked')!.value as keyof UnitTile;
    this.#tiles.forEach((tile, i) => {
      paint(this.#canvases[i], tile[kind], this.#run!.shape, 'weights');
    });
  }

  /** Makes the tiles of a page. */
  #fill(): void {
    const { hidden } = this.#run!.model;
    const first = this.#first;
    const end = Math.min(hidden, first + unitsAtATime);
    this.#tiles = [];
    this.#canvases = [];
    const labels = Array.from({ length: end - first }, (_, i) => {
      const unit = first + i;
      const label = document.createElement('label');
      const input = document.createElement('input');
      input.type = 'radio';
      input.name = 'feature';
      input.value = String(unit);
      input.ariaLabel = `Feature ${unit + 1}`;
      input.checked = unit === this.#unit;
      const canvas = document.createElement('canvas');
      [canvas.height, canvas.width] = this.#run!.shape;
      this.#canvases.push(canvas);
      label.append(input, canvas);
      return label;
    });
    const focused = this.#place.contains(document.activeElement);
    this.#place.replaceChildren(...labels);
    if (focused) {
      const input =
        this.#place.querySelector<HTMLInputElement>('input:checked') ?? this.#place.querySelector('input');
      input!.focus({ preventScroll: true });
    }
    this.#place.classList.toggle('many', labels.length > 40);
    element('feature-pages').hidden = hidden <= unitsAtATime;
    element('feature-range').textContent = `${first + 1} to ${end} of ${hidden}`;
    // A button that was disabled would lose the focus.
    element('feature-previous').ariaDisabled = String(first === 0);
    element('feature-next').ariaDisabled = String(end === hidden);
  }
}
