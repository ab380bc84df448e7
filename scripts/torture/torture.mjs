/** What kinds need: a folder, numbers by the seed, and where they count. */
export class Torture {
  /** By kind, by row, by column. @type {Record<string, Record<string, Record<string, number>>>} */
  counts = {};
  /** What was lost, in sentences. @type {string[]} */
  losses = [];
  #state;

  /** @param {string} folder @param {number} seed */
  constructor(folder, seed) {
    this.folder = folder;
    this.#state = (seed % 0x7ffffffe) + 1;
    for (let i = 0; i < 10; i++) this.random();
  }

  /** From 0 to 1. */
  random() {
    this.#state = (this.#state * 48_271) % 0x7fffffff;
    return this.#state / 0x7fffffff;
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  /** @template T @param {readonly T[]} list @returns {T[]} */
  shuffled(list) {
    return list
      .map((value) => [this.random(), value])
      .sort(([a], [b]) => a - b)
      .map(([, value]) => value);
  }

  /** @param {string} kind @param {string} row @param {string} column */
  count(kind, row, column, by = 1) {
    this.counts[kind] ??= {};
    this.counts[kind][row] ??= {};
    this.counts[kind][row][column] = (this.counts[kind][row][column] ?? 0) + by;
  }

  /** @param {string} kind @param {string} where @param {string} what */
  lost(kind, where, what) {
    this.losses.push(`${kind}: ${where}: ${what}`);
    console.error(`LOST in ${this.losses.at(-1)}`);
  }
}
