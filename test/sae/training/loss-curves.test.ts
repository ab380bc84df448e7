import { describe, expect, test } from 'vitest';
import { parseTrainConfig } from '../../../src/sae/config.js';
import { lossCurves, lossParts, markedPoints, sharedAxis } from '../../../src/sae/training/loss-curves.js';

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

const sizes = { in_dims: 100, latents: 30 };

test('the loss is the error, the weighted penalty and, of kl, the target’s entropy for each latent', () => {
  const config = parseTrainConfig({ sparsity: 'kl', sparsity_target: 0.1 });
  // As a training on digits told them.
  const values = { loss: 1.88, mse: 0.865, kl: 0.39, sparsity_lambda: 0.1 };
  const [error, penalty, constant, ...more] = lossParts(config, values, sizes);
  expect(more).toEqual([]);
  expect([error.name, penalty.name, constant.name]).toEqual([
    'mse',
    'sparsity_lambda * kl',
    'a constant of kl',
  ]);
  const entropy = 0.1 * Math.log(10) + 0.9 * Math.log(10 / 9);
  expect(constant.value).toBeCloseTo(0.1 * 30 * entropy, 5);
  expect(penalty.value).toBeCloseTo(0.039, 12);
  expect(error.value).toBeCloseTo(0.865, 2);
});

test.each([
  ['sum', '100 * mse'],
  ['mean', 'mse'],
  ['fvu', 'fvu'],
] as const)('the error that is counted as %s is called %s', (reconstruction, name) => {
  const config = parseTrainConfig({ sparsity: 'topk', reconstruction });
  expect(lossParts(config, { loss: 21.6, mse: 0.2, auxk: 0.5, auxk_alpha: 1 } as never, sizes)).toEqual([
    { name, value: expect.closeTo(21.1, 10) },
    { name: 'auxk_alpha * auxk', value: 0.5 },
  ]);
});
