import fc from 'fast-check';
import { expect, test } from 'vitest';
import { entrants, hopeless, stages } from '../../../src/sae/sweep/halving.js';
import { paretoFront } from '../../../src/sae/sweep/pareto.js';

// The rungs and the numbers that are kept are those of the paper's algorithm 1 (Jamieson and Talwalkar, 2016), by hand.
test.each([
  [16, 2, [1, 2, 4, 8]],
  [27, 3, [1, 3, 9]],
  [20, 2, [1, 2, 5, 10]],
  [10, 3, [1, 3]],
  [2, 2, [1]],
  [1, 2, []],
])('%d epochs by %d have stages that end after %j', (epochs, factor, expected) => {
  expect(stages(epochs, factor)).toEqual(expected);
});

test.each([
  [[3, 1, 2, 4], 2, [0, 3]],
  [[3, 1, 2], 2, [0]],
  [[1, 1, 1, 1], 2, [2, 3]],
  [[5, Number.NaN, 4, 6], 2, [1, 3]],
  [[1, 2, 3, 4, 5, 6, 7, 8, 9], 3, [3, 4, 5, 6, 7, 8]],
  [[7], 2, []],
  [[Number.NaN], 2, []],
])('of losses %j with factor %d, %j are hopeless', (losses, factor, expected) => {
  expect(hopeless(losses, factor)).toEqual(expected);
});

test('of trials some of which have ended before, as many go on', () => {
  expect([0, 1, 2, 3, 4].map((before) => entrants(9, before, 2))).toEqual([9, 5, 3, 2, 1]);
  expect(hopeless([1, 2, 3], 2, 4)).toEqual([2]);
  expect(hopeless([1, 2], 2, 4)).toEqual([]);
});

test('no model of the front is surpassed, and every other one is', () => {
  const models = fc.array(
    fc.record({
      active: fc.integer({ min: 1, max: 30 }),
      explained_variance: fc.integer({ min: 0, max: 20 }),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(models, (all) => {
      const front = paretoFront(all);
      const surpasses = (a: (typeof all)[0], b: (typeof all)[0]) =>
        a.active <= b.active &&
        a.explained_variance >= b.explained_variance &&
        (a.active < b.active || a.explained_variance > b.explained_variance);
      for (const model of all) {
        const isSurpassed = all.some((other) => surpasses(other, model));
        const isThere = front.some(
          (one) => one.active === model.active && one.explained_variance === model.explained_variance,
        );
        expect(isThere).toBe(!isSurpassed);
      }
      expect([...front].sort((a, b) => a.active - b.active)).toEqual(front);
    }),
  );
});

test('the front leaves out what has no number, and does not count a hair less of L0', () => {
  const good = { active: 16, explained_variance: 0.7 };
  const worse = { active: 15.998, explained_variance: 0.6 };
  const none = { active: 3, explained_variance: Number.NaN };
  expect(paretoFront([worse, good, none])).toEqual([good]);
});
