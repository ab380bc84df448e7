import { afterEach, expect, test, vi } from 'vitest';
import { Stopwatch } from '../../../src/gpu/timing.js';
import { measureTraining, stepFlops, stepTraffic } from '../../../src/sae/training/benchmark.js';
import { gpuOfFile } from '../../support/device.js';

const gpu = await gpuOfFile('chosen');
afterEach(() => {
  vi.restoreAllMocks();
});

test('the operations and bytes of the default model’s step, counted by hand', () => {
  const job = { in_dims: 784, h_dims: [20], batch_size: 64 };
  // Five products of 64 x 784 x 20: two forward, the hidden layer's gradient, two of weights.
  expect(stepFlops(job)).toBe(5 * 2 * 64 * 784 * 20);
  // Of floats: the encoder's weights go through memory 7 times, the decoder's 8 times; of bytes: the rows 3 times.
  expect(stepTraffic(job)).toBe(15 * 4 * 784 * 20 + 3 * 64 * 784);
});

test('a training is measured, with a profile of its kernels, and nothing of it stays', async () => {
  // Time flies: a benchmark takes seconds.
  const { now } = performance;
  const began = now.call(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => began + 10 * (now.call(performance) - began));
  vi.spyOn(Stopwatch.prototype, 'calibrate').mockImplementation(async () => ({ times: 1, each: 1 }));
  const result = await measureTraining(gpu, { in_dims: 784, h_dims: [8], batch_size: 16 }, true);
  const { step, samples_per_second, gflops, gigabytes, profile } = result;
  expect(result).toMatchObject({ in_dims: 784, h_dims: [8], batch_size: 16, dispatches: 7 });
  expect(step.min).toBeGreaterThan(0);
  expect(step.median).toBeGreaterThanOrEqual(step.min);
  expect(step.max).toBeGreaterThanOrEqual(step.median);
  expect(samples_per_second).toBeCloseTo(16_000 / step.median, 6);
  expect(gflops).toBeCloseTo((5 * 2 * 16 * 784 * 8) / step.median / 1e6, 9);
  expect(gigabytes).toBeCloseTo((15 * 4 * 784 * 8 + 3 * 16 * 784) / step.median / 1e6, 9);
  expect(result.first_step_seconds).toBeGreaterThan(0);
  // Weights and their two moments, at the least.
  expect(result.device_bytes).toBeGreaterThan(3 * 4 * 2 * 784 * 8);
  expect(result.device_bytes).toBeLessThan(2 ** 20);
  expect(result.submits).toBeGreaterThan(0);
  expect(result.submits).toBeLessThanOrEqual(1);
  expect(profile?.kernels).toHaveLength(7);
  for (const { name, time } of profile!.kernels) {
    expect(name).toMatch(/metrics\/step/);
    expect(time.median).toBeGreaterThanOrEqual(0);
  }
  const { encoding, waiting, other } = profile!.host;
  expect(Math.min(encoding, waiting)).toBeGreaterThanOrEqual(0);
  // All of a step's time is one of the three.
  const whole = encoding + waiting + other;
  expect(whole).toBeGreaterThan(step.min / 2);
  expect(whole).toBeLessThan(step.max * 2);
  expect(gpu.allocatedBytes).toBe(0);
});
