import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { gemmTiles } from '../../src/gpu/gemm/candidates.js';
import { gemmWork, multiply } from '../../src/gpu/gemm/gemm.js';
import { type GemmShape, operandShapes, workgroupBlocks } from '../../src/gpu/gemm/tiles.js';
import { timedPart } from '../../src/gpu/gemm/tuner.js';
import type { KernelSource } from '../../src/gpu/kernel.js';
import { addLines } from '../../src/gpu/lines.js';
import type { Bindings, Program, Workgroups } from '../../src/gpu/program.js';
import { tensorBytes } from '../../src/gpu/tensor.js';
import { cutGroups, mostWork } from '../../src/gpu/work.js';
import { seededRandom } from '../reference/random.js';
import {
  familiesOf,
  gpuOfFile,
  mainFamily,
  onBench,
  reals,
  sameBits,
  useFamily,
  useMostWork,
} from '../support/device.js';
import { long } from '../support/long.js';

const gpu = await gpuOfFile('chosen');

/** Bytes of the largest buffer that drivers allow to be bound: 4 GiB. */
const largest = 2 ** 32;
const side = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 2 ** 17 }),
  fc.constantFrom(2 ** 14, 2 ** 15, 2 ** 16, 2 ** 20),
);
/** All products whose matrices can be bound. */
const shapes = fc
  .record({ order: fc.constantFrom('nt', 'nn', 'tn'), rows: side, columns: side, depth: side })
  .filter((shape: GemmShape) => {
    const { a, b } = operandShapes(shape);
    return [a, b, [shape.rows, shape.columns]].every((matrix) => tensorBytes(matrix) <= largest);
  }) satisfies fc.Arbitrary<GemmShape>;
/** The two that make most work, of 2^30 values a matrix. */
const most: GemmShape[] = [
  { order: 'nt', rows: 2 ** 15, columns: 2 ** 15, depth: 2 ** 15 },
  { order: 'tn', rows: 2 ** 10, columns: 2 ** 20, depth: 2 ** 10 },
];

afterEach(() => {
  Reflect.deleteProperty(gpu, 'software');
});

/** Notes what would be dispatched. */
function recorder(limit = mostWork) {
  const dispatches: { bindings: Bindings; workgroups: Workgroups; work: number }[] = [];
  const add = (_: KernelSource, bindings: Bindings, workgroups: Workgroups, work: number) =>
    dispatches.push({ bindings, workgroups, work });
  return { dispatches, program: { gpu: { mostWork: limit }, add } as unknown as Program };
}

describe('a matrix product', () => {
  test.each([true, false])('of any shape is cut, on a software adapter: %s', (software) => {
    Object.defineProperty(gpu, 'software', { value: software, configurable: true });
    const check = (shape: GemmShape) => {
      for (const tile of gemmTiles(gpu, shape)) {
        const [high, wide] = workgroupBlocks(tile);
        const groups = [Math.ceil(shape.rows / 4 / high), Math.ceil(shape.columns / 4 / wide)] as const;
        const each = gemmWork({ rows: 4 * high, columns: 4 * wide, depth: shape.depth });
        const cuts = cutGroups(groups, mostWork / each);
        let sum = 0;
        for (const { count } of cuts) {
          const [rows, columns] = count;
          sum += rows * columns;
          expect(rows * columns * each).toBeLessThanOrEqual(mostWork);
          // What it really adds up: a third of a second at 100 GFLOP/s.
          expect(2 * rows * high * 4 * columns * wide * 4 * shape.depth).toBeLessThanOrEqual(3.5e10);
        }
        expect(sum).toBe(groups[0] * groups[1]);
      }
      // Its tiles are timed by a part of it, unless a block of rows is more.
      const part = timedPart(gpu, shape);
      if (part.rows > 4) expect(2 * part.rows * part.columns * part.depth).toBeLessThanOrEqual(mostWork);
    };
    fc.assert(fc.property(shapes, check), {
      numRuns: long ? 300 : 60,
      examples: most.map((shape) => [shape]),
    });
  });

  test('is cut into parts that lie side by side', () => {
    const side = fc.integer({ min: 1, max: long ? 40 : 20 });
    const grid = fc.tuple(side, side);
    fc.assert(
      fc.property(grid, fc.double({ min: 0.1, max: 2000, noNaN: true }), (groups, limit) => {
        const seen = new Set<string>();
        for (const { first, count } of cutGroups(groups, limit)) {
          expect(count[0] * count[1]).toBeLessThanOrEqual(Math.max(1, limit));
          for (let row = first[0]; row < first[0] + count[0]; row++) {
            for (let column = first[1]; column < first[1] + count[1]; column++) {
              expect(row < groups[0] && column < groups[1]).toBe(true);
              seen.add(`${row} ${column}`);
            }
          }
        }
        expect(seen.size).toBe(groups[0] * groups[1]);
      }),
    );
  });

  test.each(long ? familiesOf(gpu) : [mainFamily(gpu)])(
    'has the same bits in parts, submitted one after another: %s',
    async (family) => {
      useFamily(gpu, family);
      const sizes = { rows: 150, columns: 165, depth: 43 };
      for (const order of ['nt', 'nn', 'tn'] as const) {
        const shape = { ...sizes, order };
        const tile = await gpu.tuner.tile(shape);
        await onBench(gpu, async (bench) => {
          const { a, b } = operandShapes(shape);
          const random = seededRandom(3);
          const left = bench.tensor('a', a, reals(random, a[0] * a[1], -1, 1));
          const right = bench.tensor('b', b, reals(random, b[0] * b[1], -1, 1));
          const run = async () => {
            const c = bench.unwritten('c', [shape.rows, shape.columns]);
            const program = bench.program();
            await multiply(program, order, left, right, c);
            await program.ready();
            const submitted = vi.spyOn(gpu.device.queue, 'submit');
            program.submit();
            const submits = submitted.mock.calls.length;
            submitted.mockRestore();
            return { values: await c.read(), work: program.work.filter((work) => work > 0), submits };
          };
          const whole = await run();
          expect([whole.work.length, whole.submits]).toEqual([1, 1]);
          const [high, wide] = workgroupBlocks(tile);
          const group = gemmWork({ rows: 4 * high, columns: 4 * wide, depth: shape.depth });
          // Of a workgroup each, and of one and a half rows of them.
          for (const limit of [group, 1.5 * Math.ceil(165 / 4 / wide) * group]) {
            const parts = await useMostWork(gpu, limit, run);
            const all = parts.work.reduce((sum, work) => sum + work);
            expect(parts.work.length).toBeGreaterThan(1);
            expect(Math.max(...parts.work)).toBeLessThanOrEqual(limit);
            expect(parts.submits).toBeGreaterThanOrEqual(Math.ceil(all / limit / 2));
            expect(sameBits(parts.values, whole.values)).toBe(true);
          }
        });
      }
    },
  );
});

test('lines are cut, and what is done for their entries: each is in one part', () => {
  const amount = fc.integer({ min: 1, max: 3000 });
  const lines = fc.record({
    count: fc.integer({ min: 1, max: 99 }),
    each: amount,
    entries: fc.integer({ min: 1, max: 99 }),
    ofEntry: amount,
    first: fc.nat(9),
  });
  fc.assert(
    fc.property(lines, fc.integer({ min: 8000, max: 2 ** 22 }), (work, limit) => {
      const { dispatches, program } = recorder(limit);
      const entries = { first: work.first, count: work.entries, each: work.ofEntry };
      const { count, each } = work;
      addLines(program, {}, {}, { count, each, entries }, (groups) => groups);
      const parts = dispatches.map(({ bindings }) => [...(bindings.lines as Uint32Array)]);
      // A line with its own entries is in one part, the last places included.
      for (const line of [0, count >> 1, count - 1]) {
        for (const entry of [work.first, work.first + (work.entries >> 1), work.first + work.entries]) {
          const own = parts.filter(
            ([first, end, from, to]) => line >= first && line < end && entry >= from && entry < to,
          );
          expect(own).toHaveLength(1);
        }
      }
      // Rounding takes an entry's work more.
      for (const { work: done } of dispatches) expect(done).toBeLessThanOrEqual(limit + work.ofEntry);
      if (count * each + work.entries * work.ofEntry <= limit) expect(dispatches).toHaveLength(1);
    }),
  );
});
