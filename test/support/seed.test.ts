import fc from 'fast-check';
import { expect, test } from 'vitest';

test('random tests draw the same values on every run, and a failure tells their seed', () => {
  const drawn = () => {
    const values: number[] = [];
    fc.assert(fc.property(fc.integer(), (value) => void values.push(value)));
    return values;
  };
  expect(new Set(drawn()).size).toBeGreaterThan(10);
  expect(drawn()).toEqual(drawn());
  expect(() => fc.assert(fc.property(fc.integer(), (value) => value < 1000))).toThrow(/seed: 42, path: "/);
});
