import { type Random, randomFrom, randomPair, shuffle } from './random.js';

/** Where a `RowOrders` is. */
export interface RowOrdersState {
  readonly order: Uint32Array<ArrayBuffer>;
  readonly random: readonly number[];
}

/** The orders in which training takes the rows: a new one each epoch, or always the same where they are not shuffled. */
export class RowOrders {
  #current: Uint32Array<ArrayBuffer>;
  #next: Uint32Array<ArrayBuffer>;
  #prepared = false;
  readonly #random: Random | undefined;
  /** Of `#random`, when it had made the current order. */
  #state: readonly number[];

  /** @param from where to go on from; before the first order where it is not given. */
  constructor(
    rows: number,
    { seed, shuffle }: { readonly seed: number; readonly shuffle: boolean },
    from?: RowOrdersState,
  ) {
    this.#current = from ? from.order.slice() : inOrder(rows);
    this.#next = new Uint32Array(rows);
    const random = from ? randomFrom(from.random) : randomPair(seed).forOrder;
    this.#random = shuffle ? random : undefined;
    this.#state = random.getState();
  }

  /** The order of the moment, and what makes those that follow. */
  get state(): RowOrdersState {
    return { order: this.#current.slice(), random: this.#state };
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
    if (this.#prepared && this.#random) {
      [this.#current, this.#next] = [this.#next, this.#current];
      this.#state = this.#random.getState();
      this.#prepared = false;
    }
    return this.#current;
  }
}

export function inOrder(rows: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: rows }, (_, row) => row);
}
