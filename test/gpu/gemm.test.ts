import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type GemmOrder, type GemmTile, multiply } from '../../src/gpu/gemm.js';
import { gemmNN, gemmNT, gemmTN } from '../reference/gemm.js';
import { seededRandom } from '../reference/random.js';
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

const lanes = gpu.subgroupSize;
const tiles: [string, GemmTile & { slice_depth?: number }][] = [
  ['register', { family: 'register', tile_rows: 1, tile_columns: 1, threads_rows: 8, threads_columns: 8 }],
  ['shared', { family: 'shared', tile_rows: 1, tile_columns: 1, threads_rows: 16, threads_columns: 16 }],
  [
    'register, 2x4 blocks an invocation',
    { family: 'register', tile_rows: 2, tile_columns: 4, threads_rows: 4, threads_columns: 2 },
  ],
  [
    'shared, 2x2 blocks an invocation, slices of 3',
    { family: 'shared', tile_rows: 2, tile_columns: 2, threads_rows: 4, threads_columns: 8, slice_depth: 3 },
  ],
];
if (lanes !== undefined) {
  const subgroup = { family: 'subgroup', lanes, lane_blocks: 1, shared_blocks: 2 } as const;
  tiles.push(
    ['subgroup, lanes along columns', { ...subgroup, lanes_along_rows: 0 }],
    ['subgroup, lanes along rows', { ...subgroup, lanes_along_rows: 1 }],
    ['subgroup, 2x3 blocks a lane', { ...subgroup, lane_blocks: 2, shared_blocks: 3, lanes_along_rows: 0 }],
  );
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
    program.submit();
    expect(await c.read()).toBeCloseTensor(references[order](left, right, m, n, k), tolerance);
    expect(await paddingOf(c)).toBe(0);
  });
}

describe.each(tiles)('%s', (_, tile) => {
  test.each(['nt', 'nn', 'tn'] as const)('%s', async (order) => {
    const property = fc.asyncProperty(size, size, size, fc.integer(), (m, n, k, seed) =>
      check(order, tile, m, n, k, seed),
    );
    await fc.assert(property, { numRuns: 50, examples: [[1, 1, 1, 0]] });
  });
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
