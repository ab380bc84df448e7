import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { multiply } from '../../src/gpu/gemm/gemm.js';
import type { GemmOrder, GemmTile } from '../../src/gpu/gemm/tiles.js';
import { gemmNN, gemmNT, gemmTN } from '../reference/gemm.js';
import { seededRandom } from '../reference/random.js';
import { long } from '../support/long.js';
import '../support/compare.js';
import { gpuOfFile, onBench, paddingOf, reals } from '../support/device.js';

const gpu = await gpuOfFile();

const tolerance = 1e-5;
const references = { nt: gemmNT, nn: gemmNN, tn: gemmTN };
/** Below, at and above the edges of 4x4 blocks and of every tile here, and anything else up to 300. */
const size = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.constantFrom(1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 299, 300),
);

type Case = [string, readonly GemmOrder[], GemmTile];

const all = ['nt', 'nn', 'tn'] as const;
// `split` and `register` see A and B as functions of two numbers: one tile of each tries how those are read, the others what
// is made of it. `shared` reads along the way that an operand lies in memory, A and B one after the other: two of its tiles,
// with fewer invocations than blocks to read and with as many, try each way of either; the others one. Those of tuner.test.ts
// are among them, and need not be compiled again there.
const [plain, turned] = [['nn'], ['nt', 'tn']] as const;
const shared = { family: 'shared', tile_rows: 2, tile_columns: 2 } as const;
const register = { family: 'register', threads_rows: 4, threads_columns: 2 } as const;
const some: Case[] = [
  ['shared, 2x2 blocks', turned, { ...shared, threads_rows: 4, threads_columns: 8, slice_depth: 3 }],
  ['shared, 16x16 threads', plain, { ...shared, threads_rows: 16, threads_columns: 16, slice_depth: 2 }],
  [
    'shared, 1x2 blocks',
    all,
    { ...shared, tile_rows: 1, threads_rows: 8, threads_columns: 4, slice_depth: 4 },
  ],
  [
    'shared, 2x1 blocks',
    ['tn'],
    { ...shared, tile_columns: 1, threads_rows: 8, threads_columns: 8, slice_depth: 1 },
  ],
  ['split by 1', plain, { family: 'split', splits: 1, tile_rows: 4, tile_columns: 8 }],
  ['split by 2', plain, { family: 'split', splits: 2, tile_rows: 8, tile_columns: 2 }],
  ['split by 64', all, { family: 'split', splits: 64, tile_rows: 2, tile_columns: 2 }],
  ['register, 1x1 blocks', all, { ...register, tile_rows: 1, tile_columns: 1 }],
  ['register, 2x3 blocks', plain, { ...register, tile_rows: 2, tile_columns: 3 }],
  ['register, 4x6 blocks', plain, { ...register, tile_rows: 4, tile_columns: 6 }],
];
/** Of each family those that its kernels need; the others are compiled in the long tests. */
const few = ['shared, 1x2 blocks', 'split by 2', 'register, 1x1 blocks'];
const tiles = some.filter(([name]) => long || few.includes(name));
const lanes = gpu.subgroupSize;
if (lanes !== undefined) {
  // Which operand is read line by line, and which by blocks, is another one along rows.
  const subgroup = { family: 'subgroup', lanes, lane_blocks: 1, shared_blocks: 2, turns: 1 } as const;
  const blocks = { lane_blocks: 2, shared_blocks: 3, turns: 2 };
  tiles.push(
    ['subgroup, lanes along columns', all, { ...subgroup, lanes_along_rows: 0 }],
    ['subgroup, lanes along rows, 3 turns', all, { ...subgroup, turns: 3, lanes_along_rows: 1 }],
  );
  if (long) {
    tiles.push(['subgroup, 2x3 blocks a lane', plain, { ...subgroup, ...blocks, lanes_along_rows: 0 }]);
  }
}

if (lanes === 8) {
  tiles.push(['wide', all, { family: 'wide' }]);
}

/** Values for an operand. Mostly of one sign: a sum that cancels to nearly nothing says little about rounding. */
function operand(random: () => number, length: number) {
  return reals(random, length, -0.25, 1);
}

async function check(order: GemmOrder, tile: GemmTile, m: number, n: number, k: number, seed: number) {
  await onBench(gpu, async (bench) => {
    const random = seededRandom(seed);
    const left = operand(random, m * k);
    const right = operand(random, k * n);
    const a = bench.tensor('a', order === 'tn' ? [k, m] : [m, k], left);
    const b = bench.tensor('b', order === 'nt' ? [n, k] : [k, n], right);
    const c = bench.unwritten('c', [m, n]);
    const program = bench.program();
    await multiply(program, order, a, b, c, tile);
    await program.ready();
    program.submit();
    expect(await c.read()).toBeCloseTensor(references[order](left, right, m, n, k), tolerance);
    expect(await paddingOf(c)).toBe(0);
  });
}

describe.each(tiles)('%s', (_, orders, tile) => {
  test.each(orders)('%s', async (order) => {
    const property = fc.asyncProperty(size, size, size, fc.integer(), (m, n, k, seed) =>
      check(order, tile, m, n, k, seed),
    );
    await fc.assert(property, { numRuns: long ? 30 : 15, examples: [[1, 1, 1, 0]] });
  });
});

// A matrix whose rows' length allows it lies in an image in strips, the last of which may be narrower; others lie in lines of
// several rows, the last of which may have fewer.
test.runIf(lanes === 8).each([
  ['nt', 40, 36, 1088],
  ['nn', 36, 192, 1088],
  ['tn', 320, 192, 64],
  ['nt', 20, 12, 100],
  ['tn', 100, 36, 52],
  ['nn', 1, 16_384, 4],
  ['tn', 64, 8196, 4],
] as const)('wide, %s %i x %i x %i', async (order, m, n, k) => {
  await check(order, { family: 'wide' }, m, n, k, 1);
});

test('shapes that do not fit together are refused', async () => {
  await onBench(gpu, async (bench) => {
    const tensor = (...shape: number[]) => bench.tensor('x', shape);
    const program = bench.program();
    await expect(multiply(program, 'nn', tensor(2, 3), tensor(4, 5), tensor(2, 5))).rejects.toThrow(
      'GEMM nn: [2,3] and [4,5] do not make [2,5]',
    );
    await expect(multiply(program, 'nt', tensor(2, 3), tensor(5, 3), tensor(2, 6))).rejects.toThrow(
      RangeError,
    );
    await expect(multiply(program, 'tn', tensor(3, 2), tensor(3, 5), tensor(3, 5))).rejects.toThrow(
      RangeError,
    );
  });
});
