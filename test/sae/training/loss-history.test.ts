import { describe, expect, test } from 'vitest';
import { lossCurves } from '../../../src/sae/training/loss-curves.js';
import { LossHistory } from '../../../src/sae/training/loss-history.js';
import type { StepMetrics } from '../../../src/sae/training/metrics.js';

function step(number: number): StepMetrics {
  return {
    step: number,
    epoch: Math.ceil(number / 7),
    loss: 3 + Math.sin(number),
    mse: 2 + Math.cos(number),
    explained_variance: 1 - (2 + Math.cos(number)) / 8,
    kl: number % 5,
    active: 1 + (number % 2),
    lr: number < 50 ? 0.1 : 0.01,
    sparsity_lambda: 0.2,
    sparsity_target: 0.05,
  };
}

const steps = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => step(from + i));

describe('a history', () => {
  test('has every step as long as there is room', () => {
    const history = new LossHistory(8);
    history.add(steps(1, 3));
    history.add([]);
    history.add(steps(4, 8));
    expect(history.points).toEqual(steps(1, 8).map((metrics) => ({ ...metrics, steps: 1 })));
  });

  test.each([8, 9, 1024])('of %d points has the means of all steps, however many there were', (most) => {
    for (const total of [1, 8, 9, 10, 17, 100, 999, 5000]) {
      const history = new LossHistory(most);
      for (let first = 1; first <= total; first += 13) {
        history.add(steps(first, Math.min(total, first + 12)));
      }
      const { points } = history;
      expect(points.length).toBeLessThanOrEqual(most);
      expect(points.length).toBeGreaterThanOrEqual(Math.min(total, most / 2));
      let before = 0;
      for (const point of points) {
        const own = steps(before + 1, before + point.steps);
        const last = own[own.length - 1];
        for (const name of ['step', 'epoch', 'lr', 'sparsity_lambda', 'sparsity_target'] as const) {
          expect(point[name]).toBe(last[name]);
        }
        for (const name of ['loss', 'mse', 'kl', 'active'] as const) {
          expect(point[name]).toBeCloseTo(own.reduce((sum, value) => sum + value[name], 0) / own.length, 9);
        }
        before = point.step;
      }
      expect(before).toBe(total);
      // All but the last are of one length.
      expect(new Set(points.slice(0, -1).map((point) => point.steps)).size).toBeLessThanOrEqual(1);
    }
  });

  test('has the means of the last hundred steps, or of all where there are fewer', () => {
    const history = new LossHistory(8);
    expect(history.recent).toBeUndefined();
    const mean = (own: StepMetrics[]) => own.reduce((sum, { loss }) => sum + loss, 0) / own.length;
    history.add(steps(1, 30));
    expect(history.recent).toMatchObject({
      step: 30,
      steps: 30,
      loss: expect.closeTo(mean(steps(1, 30)), 9),
    });
    history.add(steps(31, 350));
    history.add(steps(351, 363));
    expect(history.recent).toMatchObject({
      step: 363,
      steps: 100,
      loss: expect.closeTo(mean(steps(264, 363)), 9),
    });
  });

  test('forgets what came after a step', () => {
    const history = new LossHistory();
    history.add(steps(1, 60));
    history.rewind(40);
    history.add(steps(41, 43));
    expect(history.recent).toMatchObject({ step: 43, steps: 43 });
    expect(history.points).toEqual(steps(1, 43).map((one) => ({ ...one, steps: 1 })));
  });

  test('as CSV', () => {
    const history = new LossHistory(2);
    history.add(
      steps(1, 2).map((metrics) => ({
        ...metrics,
        loss: metrics.step,
        mse: 0.5,
        explained_variance: 0.25,
        kl: 1e-7,
      })),
    );
    expect(history.toCsv()).toBe(
      'step,epoch,loss,mse,explained_variance,kl,active,lr,sparsity_lambda,sparsity_target,steps\n' +
        '1,1,1,0.5,0.25,1e-7,2,0.1,0.2,0.05,1\n' +
        '2,1,2,0.5,0.25,1e-7,1,0.1,0.2,0.05,1\n',
    );
    expect(new LossHistory().toCsv().split('\n')).toHaveLength(2);
  });
});

describe('curves', () => {
  test('are loss, mse and each point’s own sparsity_lambda times kl', () => {
    const points = [
      { at: 3, loss: 2, mse: 1, kl: 4, sparsity_lambda: 0.25 },
      { at: 5, loss: 1.5, mse: 0.75, kl: 2, sparsity_lambda: 0.5 },
    ];
    const { curves, logarithmic } = lossCurves(points, ({ at }) => at);
    expect(curves.map(({ name, data }) => [name, data])).toEqual([
      [
        'loss',
        [
          [3, 2],
          [5, 1.5],
        ],
      ],
      [
        'mse',
        [
          [3, 1],
          [5, 0.75],
        ],
      ],
      [
        'sparsity_lambda * kl',
        [
          [3, 1],
          [5, 1],
        ],
      ],
    ]);
    expect(logarithmic).toBe(false);
  });

  test.each([
    ['from 30 times on', 31, 1, 5, true, [1, 100]],
    ['not below', 29, 1, 5, false, [1, 100]],
    ['with a penalty that goes to zero', 300, 2, 1e-9, true, [0.01, 1000]],
    ['with a penalty of zero', 300, 2, 0, true, [1, 1000]],
    ['not where a loss is zero', 300, 0, 1, false, undefined],
    ['without what is not finite', Number.NaN, 2, 1, false, [1, 10]],
  ])('have a logarithmic axis %s', (_, loss, mse, kl, logarithmic, range) => {
    const found = lossCurves([{ loss, mse, kl, sparsity_lambda: 1 }], () => 0);
    expect(found.logarithmic).toBe(logarithmic);
    if (range) {
      expect(found.range).toEqual(range);
    }
  });
});
