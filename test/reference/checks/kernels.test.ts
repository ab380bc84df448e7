import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import '../../support/compare.js';
import {
  activate,
  activationBackward,
  activationDerivative,
  biasActivation,
  isActive,
} from '../activation.js';
import { adamStep, zeroMoments } from '../adam.js';
import { columnMeans, columnSums } from '../column-means.js';
import { gatherRows } from '../gather.js';
import { gemmNN, gemmNT, gemmTN, transpose } from '../gemm.js';
import { entropy, klPenalty, klSlope, klSparsity } from '../kl.js';
import { mse, mseGradient } from '../mse.js';
import { seededRandom, uniform } from '../random.js';

describe('gemm', () => {
  // A = [[1, 2, 3], [4, 5, 6]], B = [[7, 8], [9, 10], [11, 12]], worked out by hand.
  const a = Float64Array.of(1, 2, 3, 4, 5, 6);
  const at = Float64Array.of(1, 4, 2, 5, 3, 6);
  const b = Float64Array.of(7, 8, 9, 10, 11, 12);
  const bt = Float64Array.of(7, 9, 11, 8, 10, 12);
  const c = [58, 64, 139, 154];

  test('the three operand orders give the same product', () => {
    expect([...gemmNN(a, b, 2, 2, 3)]).toEqual(c);
    expect([...gemmNT(a, bt, 2, 2, 3)]).toEqual(c);
    expect([...gemmTN(at, b, 2, 2, 3)]).toEqual(c);
    expect([...transpose(a, 2, 3)]).toEqual([...at]);
  });

  test('any size is the sum that the definition says', () => {
    const size = fc.integer({ min: 1, max: 17 });
    fc.assert(
      fc.property(size, size, size, fc.integer(), (m, n, k, seed) => {
        const random = seededRandom(seed);
        const left = uniform(random, m * k, -1, 1);
        const right = uniform(random, k * n, -1, 1);
        const expected = new Float64Array(m * n);
        for (let l = 0; l < k; l++) {
          for (let i = 0; i < m; i++) {
            for (let j = 0; j < n; j++) expected[i * n + j] += left[i * k + l] * right[l * n + j];
          }
        }
        expect(gemmNN(left, right, m, n, k)).toBeCloseTensor(expected, 1e-14);
        expect(gemmNT(left, transpose(right, k, n), m, n, k)).toBeCloseTensor(expected, 1e-14);
        expect(gemmTN(transpose(left, m, k), right, m, n, k)).toBeCloseTensor(expected, 1e-14);
      }),
    );
  });

  test('operands that do not fit are refused', () => {
    expect(() => gemmNT(a, b, 2, 3, 3)).toThrow('A has 6 values and B 6, where 2*3 and 3*3 were expected.');
  });
});

describe('activation', () => {
  test('values at points that are known', () => {
    expect([-2, -0, 0, 3].map((x) => activate('relu', x))).toEqual([0, 0, 0, 3]);
    // 1 / (1 + e^-ln 3) = 3/4.
    expect([-800, -Math.log(3), 0, Math.log(3), 800].map((x) => activate('sigmoid', x))).toBeCloseTensor(
      [0, 0.25, 0.5, 0.75, 1],
      1e-15,
    );
    expect(activate('identity', -2.5)).toBe(-2.5);
    for (const name of ['relu', 'sigmoid', 'identity'] as const) expect(activate(name, NaN)).toBeNaN();
  });

  test('the derivative is that of the function', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('relu', 'sigmoid', 'identity'),
        fc.double({ min: -4, max: 4, noNaN: true }),
        (name, x) => {
          fc.pre(Math.abs(x) > 1e-4);
          const numeric = (activate(name, x + 1e-5) - activate(name, x - 1e-5)) / 2e-5;
          expect(activationDerivative(name, activate(name, x))).toBeCloseTo(numeric, 8);
        },
      ),
    );
    expect(activationDerivative('relu', 0)).toBe(0);
  });

  test('bias is added by column, the gradient scaled by value', () => {
    const x = Float64Array.of(1, -2, 3, -4, 5, -6);
    expect([...biasActivation(x, Float64Array.of(0.5, 3, -4), 2, 3, 'relu')]).toEqual([1.5, 1, 0, 0, 8, 0]);
    const gradient = Float64Array.of(2, -3, 4);
    expect([...activationBackward(gradient, Float64Array.of(0, 0.1, 7), 'relu')]).toEqual([0, -3, 4]);
    expect([...activationBackward(gradient, Float64Array.of(0.5, 0.25, 1), 'sigmoid')]).toEqual([
      0.5, -0.5625, 0,
    ]);
  });

  test('a sigmoid is active above a half, a ReLU above zero', () => {
    expect([0, 1e-9].map((y) => isActive('relu', y))).toEqual([false, true]);
    expect([0.5, 0.500001].map((y) => isActive('sigmoid', y))).toEqual([false, true]);
  });
});

test('column sums and means', () => {
  const x = Float64Array.of(1, 10, 2, 20, 6, 30);
  expect([...columnSums(x, 3, 2)]).toEqual([9, 60]);
  expect([...columnMeans(x, 3, 2)]).toEqual([3, 20]);
});

test('mse and its gradient', () => {
  const target = Float64Array.of(1, 2, 3, 4);
  const output = Float64Array.of(1, 0, 3.5, 5);
  expect(mse(output, target)).toBe((0 + 4 + 0.25 + 1) / 4);
  expect([...mseGradient(output, target)]).toEqual([0, -1, 0.25, 0.5]);
});

describe('KL sparsity', () => {
  const target = 0.01;

  test('the divergence is zero where every latent meets the target, and positive elsewhere', () => {
    const met = klSparsity(new Float64Array(7).fill(target), target);
    expect(met.kl).toBe(0);
    expect([...met.slope]).toEqual(new Array(7).fill(0).map(() => expect.closeTo(0, 12)));
    expect(met.cross_entropy).toBeCloseTo(7 * entropy(target), 14);
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.989, noNaN: true }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (rho, mean) => {
          fc.pre(Math.abs(mean - rho) > 1e-4);
          const { kl, slope, cross_entropy } = klSparsity(Float64Array.of(mean), rho);
          expect(kl).toBeGreaterThan(0);
          expect(Math.sign(slope[0])).toBe(Math.sign(mean - rho));
          expect(cross_entropy).toBeCloseTo(kl + entropy(rho), 12);
        },
      ),
    );
  });

  test.each([
    // mean, penalty, slope, divergence: from Python's decimal module with 40 digits, rounded.
    [0, 0.18420700154633, -1000000.01, 0.12820542124029],
    [0.2, 0.23700652066335, 1.18749995546875, 0.18100494035731],
    [0.5, 0.69314720015995, 1.96, 0.6371456198539],
    [0.98, 3.8731052584269, 49.48982015827951, 3.8171036781209],
    [0.995, 5.0541694213335, 98.9898979797979, 4.9981678410275],
    [1.7, 74.8420474970911, 98.9898979797979, 74.7860459167851],
  ])('figures worked out with decimals, at a mean of %d', (mean, penalty, slope, kl) => {
    const computed = klSparsity(Float64Array.of(mean), target);
    expect([klPenalty(mean, target), computed.cross_entropy]).toBeCloseTensor([penalty, penalty], 1e-12);
    expect([klSlope(mean, target), computed.slope[0]]).toBeCloseTensor([slope, slope], 1e-12);
    expect(computed.kl).toBeCloseTo(kl, 11);
  });

  test('value and slope go on without a step where the tangent begins', () => {
    const join = 0.99 - 1e-8;
    for (const rho of [0.01, 0.1, 0.9]) {
      for (const gap of [1e-6, 1e-9]) {
        const below = [klPenalty(join - gap, rho), klSlope(join - gap, rho)];
        const above = [klPenalty(join + gap, rho), klSlope(join + gap, rho)];
        // The slope is below 100 and its own slope below 10,000 there.
        expect(Math.abs(above[0] - below[0])).toBeLessThan(2 * gap * 100);
        expect(Math.abs(above[1] - below[1])).toBeLessThan(2 * gap * 10_000);
      }
    }
  });

  test('beyond 0.99 it is a straight line that climbs with the slope at 0.99', () => {
    // At 0.99: -0.01 ln 0.99 - 0.99 ln 0.01 and 0.99/0.01 - 0.01/0.99, but for the 1e-8 in the target.
    const slope = 99 - 0.01 / 0.99;
    const value = -0.01 * Math.log(0.99) - 0.99 * Math.log(0.01);
    for (const mean of [0.9900001, 1, 1.1, 40]) {
      expect(klSlope(mean, target)).toBeCloseTo(slope, 5);
      expect(klPenalty(mean, target)).toBeCloseTo(value + slope * (mean - 0.99), 4);
    }
  });

  test('the slope is the derivative of the value, on both sides of 0.99', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.989, noNaN: true }),
        fc.double({ min: 0.001, max: 2, noNaN: true }),
        (rho, mean) => {
          const step = 1e-6 * mean;
          fc.pre(Math.abs(mean - 0.99) > 2 * step);
          const numeric = (klPenalty(mean + step, rho) - klPenalty(mean - step, rho)) / (2 * step);
          expect(Math.abs(numeric - klSlope(mean, rho))).toBeLessThan(1e-5 * Math.max(1, Math.abs(numeric)));
        },
      ),
    );
  });
});

describe('adam', () => {
  test('the first step moves each value by lr against its gradient, whatever its size', () => {
    const values = Float64Array.of(1, 1, 1, 1);
    adamStep(values, Float64Array.of(1e6, -1e-3, 5, 0), zeroMoments(4), 1, 0.01);
    expect(values).toBeCloseTensor([0.99, 1.01, 0.99, 1], 1e-6);
  });

  test('two steps worked out by hand', () => {
    // m = 0.1 then 0.09 + 0.2 = 0.29; v = 0.001 then 0.000999 + 0.004 = 0.004999; corrections 0.19 and 0.001999.
    const moments = zeroMoments(1);
    const values = Float64Array.of(0);
    adamStep(values, Float64Array.of(1), moments, 1, 0.1);
    adamStep(values, Float64Array.of(2), moments, 2, 0.1);
    expect(moments.m).toBeCloseTensor([0.29], 1e-15);
    expect(moments.v).toBeCloseTensor([0.004999], 1e-14);
    const first = 0.1 / (1 + 1e-8);
    const second = (0.1 * (0.29 / 0.19)) / (Math.sqrt(0.004999 / 0.001999) + 1e-8);
    expect(values).toBeCloseTensor([-first - second], 1e-14);
  });
});

describe('gather', () => {
  test('bytes are divided by 255, then normalised', () => {
    const data = Uint8Array.of(0, 255, 51, 102, 153, 204);
    const rows = gatherRows(data, 2, [2, 0, 2], { mean: 0.1307, std: 0.3081 });
    const row2 = [(0.6 - 0.1307) / 0.3081, (0.8 - 0.1307) / 0.3081];
    expect(rows).toBeCloseTensor([...row2, -0.1307 / 0.3081, 0.8693 / 0.3081, ...row2], 1e-15);
  });

  test('floats are normalised as they are', () => {
    const rows = gatherRows(Float32Array.of(1, 2, 3, 4), 2, Uint32Array.of(1), { mean: 1, std: 0.5 });
    expect([...rows]).toEqual([4, 6]);
  });
});
