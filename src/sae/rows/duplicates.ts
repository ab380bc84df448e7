/** Different rows that are remembered, at most. */
const mostRemembered = 2 ** 16;

/** The bits of a hash by which rows are sampled, as a factor of what it is in all. */
const lowBits = 2 ** 21;

interface Seen {
  /** Rows that are so. */
  rows: number;
  /** The first of them. */
  readonly first: number;
}

/** Rows that are copies of earlier ones, of a sample. */
export interface DuplicatesState {
  /** Rows of the sample: all of them, as long as no more than 65,536 differ from each other. */
  readonly sampled: number;
  /** Those of the sample that are copies of an earlier one. */
  readonly rows: number;
  /** All that were noticed, also of rows that the sample has no more: so many there are at least. */
  readonly noticed: number;
  /** The first few, with what they are copies of: numbers of rows. */
  readonly first: readonly (readonly [row: number, of: number])[];
}

/**
 * Finds copies among rows by hashes of 53 bits of their values. If they are too many to be remembered, those whose hashes end
 * in a 0 are, then those that end in two, and so on: all copies of a row are sampled with it, so that the share of copies
 * among the sampled rows is that among all, but for chance (Gibbons, 2001: distinct sampling).
 */
export class Duplicates implements DuplicatesState {
  readonly #seen = new Map<number, Seen>();
  readonly #first: (readonly [number, number])[] = [];
  #sampled = 0;
  #noticed = 0;
  /** What the lower bits of a hash are a multiple of where a row is sampled. */
  #every = 1;

  /** @param shown copies that are named, at most. */
  constructor(private readonly shown: number) {}

  get sampled(): number {
    return this.#sampled;
  }

  get rows(): number {
    return this.#sampled - this.#seen.size;
  }

  get noticed(): number {
    return this.#noticed;
  }

  get first(): readonly (readonly [number, number])[] {
    return this.#first;
  }

  /** @param words the bits of rows, or their bytes, in which a row is from `begin` up to `end`. @param row its number. */
  add(words: Uint8Array | Uint32Array, begin: number, end: number, row: number): void {
    const hash = hashOf(words, begin, end);
    if ((hash % lowBits) % this.#every !== 0) return;
    this.#sampled += 1;
    const seen = this.#seen.get(hash);
    if (seen) {
      seen.rows += 1;
      this.#noticed += 1;
      if (this.#first.length < this.shown) this.#first.push([row, seen.first]);
      return;
    }
    this.#seen.set(hash, { rows: 1, first: row });
    while (this.#seen.size > mostRemembered && this.#every < lowBits) {
      this.#every *= 2;
      for (const [other, { rows }] of this.#seen) {
        if ((other % lowBits) % this.#every === 0) continue;
        this.#seen.delete(other);
        this.#sampled -= rows;
      }
    }
  }
}

/** Of 53 bits: two products with rotations, mixed at the end as in MurmurHash3. */
function hashOf(words: Uint8Array | Uint32Array, begin: number, end: number): number {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  for (let i = begin; i < end; i++) {
    a = Math.imul(a ^ words[i], 0xcc9e2d51);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ words[i], 0x1b873593);
    b = (b << 17) | (b >>> 15);
  }
  a = mixed(a ^ (b >>> 7));
  b = mixed(b + a);
  return (a >>> 0) * lowBits + (b & (lowBits - 1));
}

function mixed(word: number): number {
  let h = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
