import { type Random, randomFrom, randomPair, shuffle } from '../model/random.js';

/** The state of a `RowOrder`. */
export interface RowOrderState {
  /** The order of the rows in the current block. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** The blocks of the current epoch in order, and how many of them were begun. */
  readonly blocks: readonly number[];
  readonly begun: number;
  readonly random: readonly number[];
}

/** The next block of rows to train on. */
export interface NextBlock {
  readonly block: number;
  /** The order of the rows within the block; valid until the next call of `next` or `prepare`. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** Whether it is the first of an epoch. */
  readonly first: boolean;
}

/**
 * The order in which training takes the rows, which lie in blocks: in each epoch a new order of the blocks, and of the
 * rows within each; or always the same order if they are not shuffled. Usually there is one block with all rows.
 */
export class RowOrder {
  #order: Uint32Array<ArrayBuffer>;
  #prepared: Uint32Array<ArrayBuffer> | undefined;
  #blocks: number[];
  #begun: number;
  readonly #random: Random;
  readonly #shuffled: boolean;
  /** The state when the current order had been made. */
  #state: Omit<RowOrderState, 'order'>;

  /** @param rows of each block. @param from the state from which to go on; by default the start. */
  constructor(
    readonly rows: readonly number[],
    { seed, shuffle }: { readonly seed: number; readonly shuffle: boolean },
    from?: RowOrderState,
  ) {
    this.#random = from ? randomFrom(from.random) : randomPair(seed).forOrder;
    this.#shuffled = shuffle;
    this.#blocks = from ? [...from.blocks] : [...rows.keys()];
    this.#begun = from?.begun ?? rows.length;
    this.#order = from ? from.order.slice() : inOrder(rows[0]);
    this.#state = this.#now();
  }

  /** The current order, and the state from which the following ones are made. */
  get state(): RowOrderState {
    return { order: this.#order.slice(), ...this.#state };
  }

  /** The next block. */
  get upcoming(): number {
    if (this.#begun === this.#blocks.length) {
      this.#begun = 0;
      if (this.#shuffled) {
        const blocks = Uint32Array.from(this.#blocks);
        shuffle(blocks, this.#random);
        this.#blocks = [...blocks];
      }
    }
    return this.#blocks[this.#begun];
  }

  /** Makes the next order in advance, while the device is busy. */
  prepare(): void {
    if (!this.#prepared) {
      const rows = this.rows[this.upcoming];
      this.#prepared = rows === this.#order.length ? this.#order.slice() : inOrder(rows);
      if (this.#shuffled) {
        shuffle(this.#prepared, this.#random);
      }
    }
  }

  next(): NextBlock {
    this.prepare();
    const first = this.#begun === 0;
    const block = this.#blocks[this.#begun];
    this.#begun += 1;
    this.#order = this.#prepared!;
    this.#prepared = undefined;
    this.#state = this.#now();
    return { block, order: this.#order, first };
  }

  #now(): Omit<RowOrderState, 'order'> {
    return { blocks: [...this.#blocks], begun: this.#begun, random: this.#random.getState() };
  }
}

export function inOrder(rows: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, row) => row);
}
