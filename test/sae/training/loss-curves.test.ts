import { describe, expect, test } from 'vitest';
import { lossCurves, markedPoints, sharedAxis } from '../../../src/sae/training/loss-curves.js';

const axisOf = (...losses: number[]) =>
  lossCurves(
    losses.map((loss, i) => ({ step: i + 1, loss, mse: loss / 2 })),
    ({ step }) => step,
    'none',
  );

describe('an axis for the curves of several runs', () => {
  test('reaches from the lowest to the highest of all', () => {
    expect(sharedAxis([axisOf(40, 20), axisOf(0.5, 0.3)])).toEqual({ logarithmic: true, range: [0.1, 100] });
    expect(sharedAxis([axisOf(3, 2)])).toEqual({ logarithmic: false, range: [1, 10] });
  });

  test('is logarithmic as soon as one of them needs that, and never where one is 0', () => {
    expect(sharedAxis([axisOf(3, 2), axisOf(90, 2)]).logarithmic).toBe(true);
    expect(sharedAxis([axisOf(3, 2), axisOf(4, 3)]).logarithmic).toBe(false);
    expect(sharedAxis([axisOf(90, 2), axisOf(3, 0)]).logarithmic).toBe(false);
  });
});

test('marks are spread evenly over a curve and end with its last point', () => {
  const data = Array.from({ length: 100 }, (_, i) => i + 1);
  expect(markedPoints(data, 4)).toEqual([25, 50, 75, 100]);
  expect(markedPoints(data, 3)).toEqual([34, 67, 100]);
  expect(markedPoints([7, 8], 12)).toEqual([7, 8]);
  expect(markedPoints([], 12)).toEqual([]);
});
