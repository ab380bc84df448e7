import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

/** A seeded generator: integer arithmetic only, so it gives the same numbers on every machine and in the browser. */
export type Random = ReturnType<typeof xoroshiro128plus>;

/** Two generators of one seed, for different purposes, whose numbers do not overlap. */
export function randomPair(seed: number): { forWeights: Random; forOrder: Random } {
  const forWeights = xoroshiro128plus(seed | 0);
  const forOrder = forWeights.clone();
  forOrder.jump();
  return { forWeights, forOrder };
}

/** A generator that goes on from the state of another. */
export function randomFrom(state: readonly number[]): Random {
  return xoroshiro128plusFromState(state);
}

/** Fills an array with numbers uniform in -bound..bound. */
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

/** `count` different rows out of `rows` (or all, where there are fewer), in the order in which they were drawn. */
export function sampleRows(rows: number, count: number, seed: number): number[] {
  const random = randomPair(seed).forOrder;
  const drawn = new Set<number>();
  while (drawn.size < Math.min(rows, count)) {
    drawn.add(uniformInt(random, 0, rows - 1));
  }
  return [...drawn];
}
