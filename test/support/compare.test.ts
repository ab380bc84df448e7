import fc from 'fast-check';
import { expect, test } from 'vitest';
import { relativeError } from './compare.js';

test.each([
  ['equal', [1, 2], [1, 2], 0],
  ['the largest difference over the largest value', [1, 2.5, -3.75], [1, 2, -4], 0.125],
  ['a sign counts', [4], [-4], 2],
  ['zeros as they should be', [0, -0], [0, 0], 0],
  ['almost zero is not zero', [0, 1e-30], [0, 0], Infinity],
  ['nothing at all', [], [], 0],
  ['too short', [1], [1, 1], Infinity],
  ['not a number', [1, NaN], [1, 2], Infinity],
  ['not a number, rightly or not', [NaN], [NaN], Infinity],
  ['not finite', [1, Infinity], [1, Infinity], Infinity],
  ['not finite in what is expected', [1, 2], [1, Infinity], Infinity],
])('%s', (_, actual, expected, error) => {
  expect(relativeError(actual, expected)).toBe(error);
});

test('a value that is not finite makes the error infinite wherever it is', () => {
  const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
  fc.assert(
    fc.property(values, fc.nat(), fc.constantFrom(NaN, Infinity, -Infinity), (expected, at, bad) => {
      const actual = [...expected];
      actual[at % actual.length] = bad;
      expect(relativeError(actual, expected)).toBe(Infinity);
    }),
  );
});

test('the matcher passes up to the tolerance and takes any list of numbers', () => {
  expect(new Float32Array([1.5, 8])).toBeCloseTensor([1, 8], 1 / 16);
  expect([1.51, 8]).not.toBeCloseTensor(new Float64Array([1, 8]), 1 / 16);
});

test('the failure names the worst index, both values and the error', () => {
  expect(() => expect([1, 2.5, 4]).toBeCloseTensor([1, 2, 4], 1e-5)).toThrow(
    'max|a-b| / max|b| is 0.125 where the tolerance is 0.00001; worst at index 1 of 3: 2.5 where 2 was expected.',
  );
  expect(() => expect([1, NaN]).toBeCloseTensor([1, 2], 1)).toThrow('index 1 of 2: NaN where 2 was expected');
  expect(() => expect([1]).toBeCloseTensor([1, 2], 1)).toThrow('There are 1 values where 2 were expected.');
});
