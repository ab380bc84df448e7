import { afterEach, expect, it, vi } from 'vitest';
import { benchCommand } from '../../src/cli/bench.js';
import { type BenchmarkCase, LimitError, OutOfMemoryError } from '../../src/node/index.js';
import { objects } from './sae.js';

// What is measured takes minutes, and has tests of its own: here it is made up.
const spread = (median: number) => ({ median, min: median / 2, max: 2 * median });
const close = vi.fn();
const measureTraining = vi.fn(
  async (_gpu: unknown, { in_dims, h_dims, batch_size }: BenchmarkCase, profile?: boolean) => {
    if (h_dims[0] === 1024) throw new OutOfMemoryError('There is no room for it.');
    return {
      ...{
        in_dims,
        h_dims,
        batch_size,
        step: spread(4),
        samples_per_second: 16_000,
        gflops: 5,
        gigabytes: 2,
      },
      ...{ first_step_seconds: 1.5, device_bytes: 2 ** 20, dispatches: 7, submits: 0.1 },
      ...(profile && {
        profile: {
          kernels: [{ name: 'loss', time: spread(0.25) }],
          host: { encoding: 1, waiting: 2, other: 1 },
        },
      }),
    };
  },
);
vi.mock('../../src/node/index.js', async (original) => {
  const made = {
    openGpu: async () => ({ name: 'llvmpipe', software: true, close }),
    measurePeak: async () => ({ gflops: 50, gigabytes: 8 }),
    measureTraining: (...args: Parameters<typeof measureTraining>) => measureTraining(...args),
    measureGemm: async (_gpu: unknown, order: string, shape: readonly number[]) => {
      if (shape[0] === 1024) throw new LimitError('It is too large.');
      const tile = { family: 'split', splits: 1, tile_rows: 1, tile_columns: 1 };
      return { order, shape, tile, milliseconds: spread(0.5), gflops: 10, gigabytes: 4 };
    },
  };
  return { ...(await original<object>()), ...made };
});
vi.mock('../../src/cli/sharing.js', async (original) => ({
  ...(await original<object>()),
  measureSharing: async () => ({ one_by_one: spread(9), sweep: spread(6) }),
}));
afterEach(() => {
  vi.restoreAllMocks();
  close.mockClear();
});

async function bench(...args: string[]): Promise<string> {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  try {
    await benchCommand().parseAsync(args, { from: 'user' });
  } finally {
    vi.mocked(process.stdout.write).mockRestore();
  }
  expect(close).toHaveBeenCalledOnce();
  return printed;
}

it('bench --json prints what was measured, and its share of what the adapter can do at best', async () => {
  const lines = objects(await bench('--json'));
  expect(lines[0]).toEqual({ adapter: 'llvmpipe', software: true, gflops: 50, gigabytes: 8 });
  const [first] = lines.filter(({ model }) => model === '784-20');
  expect(first).toMatchObject({ batch_size: 64, step: spread(4), of_peak: 0.1, of_copy: 0.25 });
  expect(first).not.toHaveProperty('profile');
  const [product] = lines.filter(({ gemm }) => gemm === '64x20x784');
  expect(product).toMatchObject({ order: 'nt', milliseconds: spread(0.5), of_peak: 0.2, of_copy: 0.5 });
  // What has no room, what goes beyond a limit, and what a processor is not asked for.
  const skipped = lines
    .filter((line) => 'skipped' in line)
    .map(({ model, gemm, skipped }) => [model ?? gemm, skipped]);
  expect(skipped).toEqual([
    ['784-1024', 'There is no room for it.'],
    ['768-24576', 'A step is too much work for a software adapter.'],
    ['1024x1024x1024', 'It is too large.'],
    ['4096x4096x4096', 'It is too much work for a software adapter.'],
  ]);
  // The default step of 4 ms beside its five products of half a millisecond each.
  expect(lines.at(-2)).toEqual({ model: '784-20', batch_size: 64, of_products: 1.6 });
  expect(lines.at(-1)).toMatchObject({
    model: '100-1024',
    models: 8,
    one_by_one: spread(9),
    times_as_fast: 1.5,
  });
});

it('bench --profile prints a table, with what each kernel takes', async () => {
  const text = await bench('--profile');
  expect(text).toMatch(/^llvmpipe: at best 50\.0 GFLOP\/s, 8\.0 GB\/s copied\n/);
  expect(text).toMatch(
    /^784-20 +64 +4\.000 +2\.00-8\.00 +16,000 +5\.0 +10 % +25 % +1\.0 +7 +0\.10 +1\.50 s$/m,
  );
  expect(text).toContain('    0.2500 ms  loss\n');
  expect(text).toContain(
    'host: 2.0000 ms waiting for the device, 1.0000 encoding, 1.0000 everything else, per step\n',
  );
  expect(text).toMatch(/^64x20x784 +nt +0\.5000 +0\.250-1\.00 +10\.0 +20 % +50 % +split$/m);
  expect(text).toContain('784-1024 at 64: skipped. There is no room for it.\n');
  expect(text).toContain('takes 1.60 times as long as its 5 products by themselves (2.500 ms).');
  expect(text).toContain(
    '8 models of 100-1024 at 64 take 9.0 s (4.5 to 18.0) by a command each, and 6.0 s (3.0 to 12.0) by a sweep: 1.50 times as fast.',
  );
});

it('what else goes wrong ends it', async () => {
  measureTraining.mockRejectedValueOnce(new TypeError('a defect'));
  await expect(bench()).rejects.toThrow('a defect');
});
