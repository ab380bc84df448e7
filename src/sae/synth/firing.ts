import type { Random } from '../model/random.js';
import type { Correlation } from './features.js';
import { normalQuantile } from './normal.js';
import { uniform } from './streams.js';

const slices = 256;
/** The ends of equally likely slices of the standard normal distribution, from the highest: slice b is from b + 1 to b. */
const ends = Float64Array.from({ length: slices + 1 }, (_, b) => -normalQuantile(b / slices));
/** Features that are looked at together, a multiple of the four bytes of a random number. */
const groupSize = 64;

/** Consecutive features, with the lowest threshold and the largest norm among them, divided by what is their own. */
export interface Group {
  readonly first: number;
  readonly end: number;
  readonly threshold: number;
  readonly norm: number;
}

/**
 * Which features fire in a row. Most fire seldom: a random byte, the slice in which a feature's own noise lies, rules
 * nearly all of those out without the noise itself and without the product of their factors with the shared numbers.
 */
export class Firing {
  /** sqrt(2) erfinv(1 - 2 p), [features]. */
  readonly #thresholds: Float64Array;
  /** Half of the rank: what the first half of a product comes to nearly always decides. */
  readonly #half: number;
  /** Norms of the features' factors, and of their second halves, [features]. */
  readonly #norms: Float64Array;
  readonly #restNorms: Float64Array;
  /** What the features share in this row, [rank], with its norm and that of its second half. */
  readonly #shared: Float64Array;
  #length = 0;
  #restLength = 0;

  /** @param probabilities [features]. */
  constructor(
    probabilities: Float64Array,
    readonly correlation: Correlation,
  ) {
    const { rank, factors } = correlation;
    this.#thresholds = probabilities.map((p) => -normalQuantile(p));
    this.#half = Math.ceil(rank / 2);
    const normFrom = (from: number) => (_: number, i: number) =>
      Math.hypot(...factors.subarray(i * rank + from, (i + 1) * rank));
    this.#norms = probabilities.map(normFrom(0));
    this.#restNorms = probabilities.map(normFrom(this.#half));
    this.#shared = new Float64Array(rank);
  }

  /** Sets what the features share in a row: standard normal numbers. */
  share(draw: () => number): void {
    for (let k = 0; k < this.#shared.length; k++) {
      this.#shared[k] = draw();
    }
    this.#length = Math.hypot(...this.#shared);
    this.#restLength = Math.hypot(...this.#shared.subarray(this.#half));
  }

  /** Whether a feature fires. @param byte random, 0 to 255. More is drawn where that does not decide it. */
  fires(feature: number, byte: number, random: Random): boolean {
    const { rank, factors, own } = this.correlation;
    const threshold = this.#thresholds[feature];
    const scale = own[feature];
    const most = scale * ends[byte];
    if (most + this.#norms[feature] * this.#length <= threshold) {
      return false;
    }
    const shared = this.#shared;
    const at = feature * rank;
    const half = this.#half;
    let sum = 0;
    for (let k = 0; k < half; k++) {
      sum += factors[at + k] * shared[k];
    }
    if (most + sum + this.#restNorms[feature] * this.#restLength <= threshold) {
      return false;
    }
    for (let k = half; k < rank; k++) {
      sum += factors[at + k] * shared[k];
    }
    if (most + sum <= threshold) {
      return false;
    }
    if (scale * ends[byte + 1] + sum > threshold) {
      return true;
    }
    return sum - scale * normalQuantile((byte + uniform(random)) / slices) > threshold;
  }

  /** Calls `fired` with each feature of a group that fires. */
  each({ first, end, threshold, norm }: Group, random: Random, fired: (feature: number) => void): void {
    // In later slices none of them fires.
    const least = threshold - norm * this.#length;
    let slice = 0;
    while (slice < slices && ends[slice] > least) {
      slice += 1;
    }
    for (let at = first; at < end; at += 4) {
      let bytes = random.next();
      for (let feature = at; feature < at + 4 && feature < end; feature++) {
        const byte = bytes & 255;
        bytes >>>= 8;
        if (byte < slice && this.fires(feature, byte, random)) {
          fired(feature);
        }
      }
    }
  }

  /** Divides the features from `first` up to, not including, `end` into groups. */
  groups(first: number, end: number): Group[] {
    const { own } = this.correlation;
    const groups: Group[] = [];
    for (let from = first; from < end; from += groupSize) {
      const to = Math.min(end, from + groupSize);
      let threshold = Number.POSITIVE_INFINITY;
      let norm = 0;
      for (let i = from; i < to; i++) {
        threshold = Math.min(threshold, this.#thresholds[i] / own[i]);
        norm = Math.max(norm, this.#norms[i] / own[i]);
      }
      groups.push({ first: from, end: to, threshold, norm });
    }
    return groups;
  }
}
