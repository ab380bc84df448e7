import type { Device } from './device.js';
import { multiply, productOperands } from './gemm/gemm.js';
import type { GemmOrder, GemmTile } from './gemm/tiles.js';
import { Program } from './program.js';
import { Scope } from './scope.js';
import { Tensor } from './tensor.js';
import { type Spread, timeProgram } from './timing.js';

/** What an adapter can do at best. */
export interface Peak {
  /** GFLOP/s; a multiply-add counts as two operations. */
  readonly gflops: number;
  /** GB/s, read and written together. */
  readonly gigabytes: number;
}

/** Measures a loop of multiply-adds and a copy. */
export async function measurePeak(gpu: Device): Promise<Peak> {
  return Scope.during(async (scope) => {
    const groups = gpu.software ? 64 : 4096;
    const turns = 1024;
    const arithmetic = scope.use(new Program(gpu));
    const results = scope.use(new Tensor(gpu, 'results', [groups * 64 * 4]));
    const fma = { files: ['bench/arithmetic.wgsl'], constants: { turns } };
    arithmetic.add(fma, { results }, [groups, 1]);
    await arithmetic.ready();
    const operations = groups * 64 * turns * 2 * 4 * 4 * 2;
    const gflops = operations / (await timeProgram(arithmetic)).min / 1e6;

    const values = Math.min(gpu.software ? 2 ** 22 : 2 ** 26, gpu.largestBuffer / 4);
    const copy = scope.use(new Program(gpu));
    const [source, destination] = ['source', 'destination'].map((name) =>
      scope.use(new Tensor(gpu, name, [values])),
    );
    copy.add({ files: ['bench/copy.wgsl'] }, { source, destination }, [values / 4 / 64 / 16, 1]);
    await copy.ready();
    const gigabytes = (values * 4 * 2) / (await timeProgram(copy)).min / 1e6;
    return { gflops, gigabytes };
  });
}

/** One GEMM's speed. */
export interface GemmResult {
  readonly order: GemmOrder;
  /** [rows, columns, depth]. */
  readonly shape: readonly [number, number, number];
  readonly tile: GemmTile;
  readonly milliseconds: Spread;
  readonly gflops: number;
  /** GB/s of a, b and c. */
  readonly gigabytes: number;
}

/** Times the single product c [m, n] = a·b over a depth of k. @throws LimitError, OutOfMemoryError. */
export async function measureGemm(
  gpu: Device,
  order: GemmOrder,
  [m, n, k]: readonly [number, number, number],
): Promise<GemmResult> {
  const { tile, milliseconds } = await Scope.during(async (scope) => {
    const shape = { order, rows: m, columns: n, depth: k };
    const [a, b, c] = await gpu.allocate(`a product of ${m}x${n}x${k}`, () =>
      productOperands(scope, gpu, shape),
    );
    for (const operand of [a, b]) {
      const length = operand.rows * operand.columns;
      operand.write(Float32Array.from({ length }, (_, i) => ((i * 7) % 13) / 13));
    }
    const tile = await gpu.tuner.tile(shape);
    const program = scope.use(new Program(gpu));
    await multiply(program, order, a, b, c, tile);
    await program.ready();
    return { tile, milliseconds: await timeProgram(program) };
  });
  const perSecond = (amount: number) => amount / milliseconds.median / 1e6;
  return {
    order,
    shape: [m, n, k],
    tile,
    milliseconds,
    gflops: perSecond(2 * m * n * k),
    gigabytes: perSecond(4 * (m * k + k * n + m * n)),
  };
}
