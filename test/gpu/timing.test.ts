import { afterEach, describe, expect, test, vi } from 'vitest';
import { measureGemm, measurePeak } from '../../src/gpu/benchmark.js';
import { Stopwatch, timeProgram } from '../../src/gpu/timing.js';
import { gpuOfFile, onBench } from '../support/device.js';

const gpu = await gpuOfFile();
afterEach(() => {
  vi.restoreAllMocks();
});

const add = (amount: number) => ({
  name: `add ${amount}`,
  code: `
var<storage, read_write> x: array<vec4f>;
@compute @workgroup_size(1) fn main() { x[0] += ${amount}; }`,
});

// With the device's own timestamps, where it has them, and with the host's clock.
describe.each([true, false])('a stopwatch, timestamps: %s', (timestamps) => {
  test('runs a program, or one of its dispatches, as often as it is told, and tells more time for more runs', async () => {
    const own = Object.getOwnPropertyDescriptor(gpu.device, 'features');
    if (!timestamps) {
      Object.defineProperty(gpu.device, 'features', { value: new Set(), configurable: true });
    }
    const before = gpu.allocatedBytes;
    try {
      await onBench(gpu, async (bench) => {
        const x = bench.tensor('x', [4]);
        const program = bench.program();
        program.add(add(1), { x }, [1, 1]);
        program.add(add(100), { x }, [1, 1]);
        await program.ready();
        const watch = new Stopwatch(gpu);
        expect(await watch.time(program, 3)).toBeGreaterThanOrEqual(0);
        expect((await x.read())[0]).toBe(303);
        await watch.time(program, 5, 1);
        expect((await x.read())[0]).toBe(803);
        const { times, each } = await watch.calibrate(program, 2, 0);
        // As often as fills two milliseconds: on a busy machine, once may.
        expect(times).toBeGreaterThanOrEqual(1);
        expect(times * each).toBeGreaterThanOrEqual(2 * (1 - 1e-9));
        // Nothing is said of how long: only that thousands of runs take longer than one does at best.
        const single: number[] = [];
        for (let i = 0; i < 5; i++) {
          single.push(await watch.time(program, 1));
        }
        expect(await watch.time(program, 5000)).toBeGreaterThan(Math.min(...single));
        watch.destroy();
      });
      expect(gpu.allocatedBytes).toBe(before);
    } finally {
      Reflect.deleteProperty(gpu.device, 'features');
      if (own) Object.defineProperty(gpu.device, 'features', own);
    }
  });
});

describe('with a clock by which each run takes half a millisecond', () => {
  const timed = () =>
    vi.spyOn(Stopwatch.prototype, 'time').mockImplementation(async (_program, times) => times / 2);

  test('the times of a program are those of one run', async () => {
    const time = timed();
    await onBench(gpu, async (bench) => {
      const program = bench.program();
      expect(await timeProgram(program, 3)).toEqual({ median: 0.5, min: 0.5, max: 0.5 });
      expect(time.mock.calls.every(([measured, , only]) => measured === program && only === 3)).toBe(true);
      // A measurement lasts at least that long.
      expect(time.mock.calls.slice(-7).every(([, times]) => times / 2 >= 60)).toBe(true);
    });
  });

  test('an adapter does what its kernels do in that time', async () => {
    timed();
    const { gflops, gigabytes } = await measurePeak(gpu);
    // Eight multiply-adds of four values a turn; a copy reads and writes.
    const [groups, values] = gpu.software ? [64, 2 ** 22] : [4096, 2 ** 26];
    expect(gflops).toBeCloseTo((groups * 64 * 1024 * 8 * 4 * 2) / 0.5e6, 6);
    expect(gigabytes).toBeCloseTo((Math.min(values * 4, gpu.largestBuffer) * 2) / 0.5e6, 6);
  });

  test('a product of 8 x 12 over 16 is 3,072 operations and 1,664 bytes', async () => {
    timed();
    const before = gpu.allocatedBytes;
    const result = await measureGemm(gpu, 'tn', [8, 12, 16]);
    expect(result).toEqual({
      order: 'tn',
      shape: [8, 12, 16],
      tile: await gpu.tuner.tile({ order: 'tn', rows: 8, columns: 12, depth: 16 }),
      milliseconds: { median: 0.5, min: 0.5, max: 0.5 },
      gflops: expect.closeTo(3072 / 0.5e6, 9),
      gigabytes: expect.closeTo(1664 / 0.5e6, 9),
    });
    expect(gpu.allocatedBytes).toBe(before);
  });
});
