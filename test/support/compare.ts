import { expect } from 'vitest';

/** Where two tensors differ most. */
export interface Difference {
  /** max|a-b| / max|b|, or Infinity where the tensors cannot be compared. */
  readonly error: number;
  /** Of the value that decided; -1 where no single one did. */
  readonly index: number;
}

/**
 * The difference between a tensor and what it should be, as one number for the whole tensor: most gradients
 * have values near zero, of which an elementwise relative error says little. Infinity where the lengths
 * differ, where either holds a value that is not finite, and where `expected` is all zero and `actual` is not.
 */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  if (actual.length !== expected.length) return { error: Infinity, index: -1 };
  let worst = 0;
  let index = -1;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    // Infinity - Infinity is not a number, so that this finds every value that is not finite.
    if (!Number.isFinite(distance)) return { error: Infinity, index: i };
    if (distance > worst) {
      worst = distance;
      index = i;
    }
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  // Where all of `expected` is zero this divides by zero, and any difference at all is infinitely large.
  return { error: worst === 0 ? 0 : worst / scale, index };
}

/** max|actual - expected| / max|expected|; see `difference` for when it is Infinity. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return difference(actual, expected).error;
}

expect.extend({
  toBeCloseTensor(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
    const { error, index } = difference(actual, expected);
    return {
      pass: error <= tolerance,
      message: () => {
        const measure = `max|a-b| / max|b| is ${error} where the tolerance is ${tolerance}`;
        if (actual.length !== expected.length) {
          return `There are ${actual.length} values where ${expected.length} were expected.`;
        }
        if (index < 0) return `${measure}: no value differs.`;
        return `${measure}; worst at index ${index} of ${expected.length}: ${actual[index]} where ${expected[index]} was expected.`;
      },
    };
  },
});

declare module 'vitest' {
  // The parameter has to be there, named and defaulted as in vitest's own declaration.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  interface Matchers<T = any> {
    /**
     * That max|actual - expected| / max|expected| is at most `tolerance`, both read as flat lists of numbers.
     */
    toBeCloseTensor(expected: ArrayLike<number>, tolerance: number): void;
  }
}
