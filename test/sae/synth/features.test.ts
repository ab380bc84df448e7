import { describe, expect, it } from 'vitest';
import { correlation, linear, zipf } from '../../../src/sae/synth/features.js';
import { normalQuantile } from '../../../src/sae/synth/normal.js';
import { normal, streamOf, uniform } from '../../../src/sae/synth/streams.js';
import { fixtures } from './fixtures.js';

const { zipf_16384, zipf_50, linear_magnitude_10, copula_thresholds, low_rank } = fixtures.model;

describe('probabilities and magnitudes', () => {
  it('follow Zipf’s law between two ends', () => {
    const { exponent, max_prob: max, min_prob: min, values } = zipf_50;
    const found = zipf(50, { exponent, max, min });
    values.data.forEach((value, i) => {
      expect(found[i]).toBeCloseTo(value, 7);
    });
  });

  it('are those of SynthSAEBench-16k', () => {
    const { exponent, max_prob: max, min_prob: min, at, sum, sum_first_4096 } = zipf_16384;
    const found = zipf(16_384, { exponent, max, min });
    for (const [i, value] of Object.entries(at)) {
      expect(found[Number(i)]).toBeCloseTo(value, 7);
    }
    const total = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
    expect(total(found)).toBeCloseTo(sum, 3);
    expect(total(found.subarray(0, 4096))).toBeCloseTo(sum_first_4096, 3);
  });

  it('lie on a line', () => {
    const { start, end, values } = linear_magnitude_10;
    const found = linear(10, start, end);
    values.data.forEach((value, i) => {
      expect(found[i]).toBeCloseTo(value, 6);
    });
  });
});

describe('normal numbers', () => {
  it('have the copula’s thresholds as quantiles', () => {
    copula_thresholds.p.forEach((p, i) => {
      expect(-normalQuantile(p)).toBeCloseTo(copula_thresholds.threshold.data[i], 5);
    });
  });

  // Tables of the normal distribution: one place in each of the three ranges, and the ends.
  it.each([
    [0.5, 0],
    [0.975, 1.959963984540054],
    [0.025, -1.959963984540054],
    [1e-10, -6.361340902404056],
    [1e-20, -9.262340089798409],
    [0, Number.NEGATIVE_INFINITY],
    [1, Number.POSITIVE_INFINITY],
  ])('have the quantile of %d at %d', (p, z) => {
    expect(normalQuantile(p)).toBeCloseTo(z, 12);
  });

  it('have the moments of the normal distribution, and neighbouring items nothing in common', () => {
    const count = 20_000;
    const sums = [0, 0, 0, 0];
    let product = 0;
    for (let item = 0; item < count; item++) {
      const z = normal(streamOf(1, 'rows', item));
      sums.forEach((_, power) => {
        sums[power] += z ** (power + 1) / count;
      });
      product += (z * normal(streamOf(1, 'rows', item + 1))) / count;
    }
    // Four standard errors of each.
    const error = 4 / Math.sqrt(count);
    expect(Math.abs(sums[0])).toBeLessThan(error);
    expect(Math.abs(sums[1] - 1)).toBeLessThan(error * Math.sqrt(2));
    expect(Math.abs(sums[2])).toBeLessThan(error * Math.sqrt(15));
    expect(Math.abs(sums[3] - 3)).toBeLessThan(error * Math.sqrt(96));
    expect(Math.abs(product)).toBeLessThan(error);
  });

  it('differ by seed, purpose and item, also beyond 2^32 items', () => {
    const draws = [
      streamOf(1, 'rows', 0),
      streamOf(2, 'rows', 0),
      streamOf(1, 'bias', 0),
      streamOf(1, 'rows', 1),
      streamOf(1, 'rows', 2 ** 32),
      streamOf(1, 'rows', 2 ** 32 + 1),
    ].map(uniform);
    expect(new Set(draws).size).toBe(draws.length);
  });
});

describe('correlations', () => {
  it('leave each feature what its factors do not share', () => {
    const { rank, scale, mean_diag } = low_rank;
    const random = streamOf(3, 'correlation');
    const count = 16_384;
    const factors = Float64Array.from({ length: count * rank }, () => scale * normal(random));
    const { own } = correlation(factors, rank, count);
    const mean = own.reduce((sum, value) => sum + value * value, 0) / count;
    // Its factors are random too: both are within a few standard errors of 0.75.
    expect(mean).toBeCloseTo(0.75, 2);
    expect(mean).toBeCloseTo(mean_diag, 2);
  });

  it('scale factors down that would leave less than 0.01', () => {
    const { factors, own } = correlation(Float64Array.of(3, 4, 0.6, 0.8, 0.3, 0.4), 2, 3);
    const shared = [0, 1, 2].map((i) => factors[2 * i] ** 2 + factors[2 * i + 1] ** 2);
    expect(shared[0]).toBeCloseTo(0.99, 6);
    expect(shared[1]).toBeCloseTo(0.99, 6);
    expect(shared[2]).toBeCloseTo(0.25, 6);
    expect([...own].map((value, i) => value ** 2 + shared[i])).toEqual(
      [1, 1, 1].map((one) => expect.closeTo(one, 6)),
    );
    expect(factors[0] / factors[1]).toBeCloseTo(0.75, 6);
  });
});
