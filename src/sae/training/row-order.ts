import { type Random, randomFrom, randomPair, shuffle } from '../model/random.js';
import type { Runs, WindowSizes } from '../rows/chunks.js';

/** The state of a `RowOrder`. */
export interface RowOrderState {
  /** The order of the rows in the current window. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** The order of the chunks in the current epoch. */
  readonly chunks: Uint32Array<ArrayBuffer>;
  /** Windows that were begun, over all epochs. */
  readonly begun: number;
  readonly random: readonly number[];
}

/** The next rows to train on. */
export interface NextWindow {
  /** Its number, from 0, over all epochs. */
  readonly number: number;
  /** The order of the rows within the window; valid until the next call of `next` or `prepare`. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** Whether it is the first of an epoch. */
  readonly first: boolean;
}

/**
 * The order in which training takes the rows. The source's rows lie in chunks, and in each epoch these come in a new
 * order; as many rows as a window holds are then taken one after another, and shuffled among themselves. Without shuffling,
 * rows are taken as they come. If all rows fit into one window, they are one chunk.
 */
export class RowOrder {
  #order: Uint32Array<ArrayBuffer>;
  #prepared: Uint32Array<ArrayBuffer> | undefined;
  readonly #chunks: Uint32Array<ArrayBuffer>;
  #begun: number;
  /** Windows in all epochs of which the order of chunks was drawn. */
  #drawn: number;
  readonly #random: Random;
  readonly #shuffled: boolean;
  /** The state when the current order had been made. */
  #state: Omit<RowOrderState, 'order'>;

  /** @param from the state from which to go on; by default the start. */
  constructor(
    readonly sizes: WindowSizes,
    { seed, shuffle }: { readonly seed: number; readonly shuffle: boolean },
    from?: RowOrderState,
  ) {
    this.#random = from ? randomFrom(from.random) : randomPair(seed).forOrder;
    this.#shuffled = shuffle;
    this.#chunks = from ? from.chunks.slice() : inOrder(sizes.chunks);
    this.#begun = from?.begun ?? 0;
    this.#drawn = Math.ceil(this.#begun / sizes.count) * sizes.count;
    this.#order = from ? from.order.slice() : inOrder(sizes.rowsOf(0));
    this.#state = this.#now();
  }

  /** The current order, and the state from which the following ones are made. */
  get state(): RowOrderState {
    return { order: this.#order.slice(), ...this.#state };
  }

  /** The number of the next window. */
  get upcoming(): number {
    return this.#begun;
  }

  /** Where the rows of the current window, or of the next one, are in the source. */
  runs(which: 'current' | 'upcoming'): Runs {
    if (which === 'upcoming') this.#draw();
    const number = which === 'current' ? this.#begun - 1 : this.#begun;
    return this.sizes.runs(this.#chunks, number % this.sizes.count);
  }

  /** Makes the next order in advance, while the device is busy. */
  prepare(): void {
    if (!this.#prepared) {
      this.#draw();
      const rows = this.sizes.rowsOf(this.#begun % this.sizes.count);
      this.#prepared = rows === this.#order.length ? this.#order.slice() : inOrder(rows);
      if (this.#shuffled) {
        shuffle(this.#prepared, this.#random);
      }
    }
  }

  next(): NextWindow {
    this.prepare();
    const number = this.#begun;
    this.#begun += 1;
    this.#order = this.#prepared!;
    this.#prepared = undefined;
    this.#state = this.#now();
    return { number, order: this.#order, first: number % this.sizes.count === 0 };
  }

  /** Draws the order of the chunks if the next window is the first of an epoch. */
  #draw(): void {
    if (this.#begun === this.#drawn) {
      this.#drawn += this.sizes.count;
      if (this.#shuffled) {
        shuffle(this.#chunks, this.#random);
      }
    }
  }

  #now(): Omit<RowOrderState, 'order'> {
    return { chunks: this.#chunks.slice(), begun: this.#begun, random: this.#random.getState() };
  }
}

export function inOrder(rows: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, row) => row);
}
