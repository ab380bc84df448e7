import { type Random, randomPair, shuffle } from './random.js';

/** The orders in which training takes the rows: a new one each epoch, or always the same where they are not shuffled. */
export class RowOrders {
  #current: Uint32Array<ArrayBuffer>;
  #next: Uint32Array<ArrayBuffer>;
  #prepared = false;
  readonly #random: Random | undefined;

  constructor(rows: number, { seed, shuffle }: { readonly seed: number; readonly shuffle: boolean }) {
    this.#current = inOrder(rows);
    this.#next = inOrder(rows);
    this.#random = shuffle ? randomPair(seed).forOrder : undefined;
  }

  /** Makes the next order before it is asked for, while the device is busy. */
  prepare(): void {
    if (!this.#prepared && this.#random) {
      this.#next.set(this.#current);
      shuffle(this.#next, this.#random);
      this.#prepared = true;
    }
  }

  /** The next epoch's order, valid until the one after it is asked for or prepared. */
  next(): Uint32Array<ArrayBuffer> {
    this.prepare();
    [this.#current, this.#next] = [this.#next, this.#current];
    this.#prepared = false;
    return this.#current;
  }
}

export function inOrder(rows: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, row) => row);
}
