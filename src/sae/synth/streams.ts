import { type Random, randomFrom } from '../model/random.js';
import { normalQuantile } from './normal.js';

/** What random numbers are drawn for. Each purpose has sequences of its own. */
export const purposes = { dictionary: 0, bias: 1, correlation: 2, magnitudes: 3, rows: 4 } as const;

/**
 * The generator of an item, such as a row. Its state is a hash of seed, purpose and number, so items can be drawn in
 * any order. (`xoroshiro128plus(seed)` would do no good here: seeds that differ in few bits begin alike.) Different
 * items of a purpose have different states, since every step of the hash can be undone.
 * @param item a whole number from 0 to 2^53.
 */
export function streamOf(seed: number, purpose: keyof typeof purposes, item = 0): Random {
  const high = Math.floor(item / 2 ** 32);
  return randomFrom(
    [1, 2, 3, 4].map((word) => {
      const key = mixed(mixed(word) ^ mixed(seed + Math.imul(purposes[purpose] + 1, 0x9e3779b9)));
      return mixed(mixed(key ^ (item | 0)) ^ high);
    }),
  );
}

/** A permutation of the 32-bit numbers that spreads every bit: the finalizer of MurmurHash3. */
function mixed(word: number): number {
  let x = word;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** Uniform between 0 and 1, both excluded. */
export function uniform(random: Random): number {
  return ((random.next() >>> 0) + 0.5) / 2 ** 32;
}

/** From the standard normal distribution. */
export function normal(random: Random): number {
  return normalQuantile(uniform(random));
}
