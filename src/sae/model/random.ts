import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

/**
 * A seeded generator. It uses integer arithmetic only, so its numbers are the same on every machine and in browsers.
 * It is described here, and not by the types of its package, which TypeScript's old resolution does not find.
 */
export interface Random {
  /** The next 32 bits. */
  next(): number;
  /** Goes forward by more numbers than a training draws. */
  jump(): void;
  clone(): Random;
  /** The state, from which `randomFrom` goes on. */
  getState(): readonly number[];
}

/** Two generators with one seed whose sequences do not overlap. */
export function randomPair(seed: number): { forWeights: Random; forOrder: Random } {
  const forWeights = xoroshiro128plus(seed | 0);
  const forOrder = forWeights.clone();
  forOrder.jump();
  return { forWeights, forOrder };
}

/** The generator with that state. */
export function randomFrom(state: readonly number[]): Random {
  return xoroshiro128plusFromState(state);
}

/** Fills an array with numbers that are uniform in -bound..bound. */
export function fillUniform(values: Float32Array, bound: number, random: Random): void {
  for (let i = 0; i < values.length; i++) {
    values[i] = (2 * uniformFloat32(random) - 1) * bound;
  }
}

/** Shuffles in place, every order equally likely (Fisher and Yates). */
export function shuffle(values: Uint32Array, random: Random): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = uniformInt(random, 0, i);
    const value = values[i];
    values[i] = values[j];
    values[j] = value;
  }
}

/** `count` different row numbers below `rows` (or all, if there are fewer), in the order in which they were drawn. */
export function sampleRows(rows: number, count: number, seed: number): number[] {
  const random = randomPair(seed).forOrder;
  const drawn = new Set<number>();
  while (drawn.size < Math.min(rows, count)) {
    drawn.add(uniformInt(random, 0, rows - 1));
  }
  return [...drawn];
}
