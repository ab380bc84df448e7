import fc from 'fast-check';
import type { Gpu } from '../../src/gpu/gpu.js';
import { seededRandom } from '../reference/random.js';
import { type Bench, onBench, reals } from './device.js';
import { long } from './long.js';

const dimension = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.constantFrom(1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 255, 256, 257, 300),
);

export interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly random: () => number;
}

/** Runs `check` with some random shapes, more of them in the long tests, and an extreme one or two. */
export async function shapes(gpu: Gpu, check: (bench: Bench, shape: Shape) => Promise<void>): Promise<void> {
  const property = fc.asyncProperty(dimension, dimension, fc.integer(), (rows, columns, seed) =>
    onBench(gpu, (bench) => check(bench, { rows, columns, random: seededRandom(seed) })),
  );
  await fc.assert(property, {
    numRuns: long ? 50 : 10,
    examples: [
      [1, 1, 0],
      [300, 299, 0],
    ],
  });
}

/** A whole number from 1 to `most`. */
export function upTo(most: number, random: () => number): number {
  return 1 + Math.floor(random() * most);
}

export function pick<T>(values: readonly T[], random: () => number): T {
  return values[upTo(values.length, random) - 1];
}

export function maxDistance(actual: Float32Array, expected: Float64Array): number {
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
}

/** Latents of which many may be 0, and half of the others are of a few values, so that many are equal. */
export function someCode(length: number, random: () => number): Float32Array<ArrayBuffer> {
  const few = reals(random, 5, 0.1, 2);
  const zeros = pick([0, 0.5, 0.99, 1], random);
  return reals(random, length, 0, 1).map((value) =>
    random() < zeros ? 0 : random() < 0.5 ? value : pick([...few], random),
  );
}
