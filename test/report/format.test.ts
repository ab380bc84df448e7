import { expect, test } from 'vitest';
import { decades } from '../../src/report/format.js';

test('an axis of densities in percent ends at 100, and is longer than nothing', () => {
  expect(decades(0.25, 31.5)).toEqual({ min: 0.1, max: 100 });
  expect(decades(5, 100)).toEqual({ min: 1, max: 100 });
  expect(decades(100, 100)).toEqual({ min: 10, max: 100 });
});
