import { multiply } from './gemm.js';
import type { Gpu } from './gpu.js';
import { Program } from './program.js';
import { Tensor } from './tensor.js';
import type { GemmOrder, GemmTile } from './tiles.js';
import { type Spread, timeProgram } from './timing.js';

/** What an adapter can do at best. */
export interface Peak {
  /** Multiply-adds, counted as two, in thousand millions a second. */
  readonly gflops: number;
  /** Bytes read and written, in thousand millions a second. */
  readonly gigabytes: number;
}

/** Measures a loop of multiply-adds and a copy. */
export async function measurePeak(gpu: Gpu): Promise<Peak> {
  const groups = gpu.software ? 64 : 4096;
  const turns = 1024;
  const arithmetic = new Program(gpu);
  const results = new Tensor(gpu, 'results', [groups * 64 * 4]);
  const fma = { files: ['peak_arithmetic.wgsl'], constants: { turns } };
  arithmetic.add(fma, { results }, [groups, 1]);
  await arithmetic.ready();
  const operations = groups * 64 * turns * 2 * 4 * 4 * 2;
  const gflops = operations / (await timeProgram(arithmetic)).min / 1e6;

  const values = Math.min(gpu.software ? 2 ** 22 : 2 ** 26, gpu.largestBuffer / 4);
  const copy = new Program(gpu);
  const [source, destination] = ['source', 'destination'].map((name) => new Tensor(gpu, name, [values]));
  copy.add({ files: ['peak_copy.wgsl'] }, { source, destination }, [values / 4 / 64 / 16, 1]);
  await copy.ready();
  const gigabytes = (values * 4 * 2) / (await timeProgram(copy)).min / 1e6;
  for (const used of [arithmetic, copy, results, source, destination]) {
    used.destroy();
  }
  return { gflops, gigabytes };
}

/** One GEMM's speed. */
export interface GemmResult {
  readonly order: GemmOrder;
  /** [rows, columns, depth]. */
  readonly shape: readonly [number, number, number];
  readonly tile: GemmTile;
  readonly milliseconds: Spread;
  readonly gflops: number;
  /** Thousand millions of bytes a second, of a, b and c. */
  readonly gigabytes: number;
}

/** Times c [m, n] = a·b over a depth of k, by itself. @throws LimitError, OutOfMemoryError. */
export async function measureGemm(
  gpu: Gpu,
  order: GemmOrder,
  [m, n, k]: readonly [number, number, number],
): Promise<GemmResult> {
  const made: { destroy(): void }[] = [];
  const keep = <T extends { destroy(): void }>(owned: T): T => {
    made.push(owned);
    return owned;
  };
  let tile: GemmTile;
  let milliseconds: Spread;
  try {
    const [a, b, c] = await gpu.allocate(`a product of ${m}x${n}x${k}`, () => [
      keep(new Tensor(gpu, 'a', order === 'tn' ? [k, m] : [m, k])),
      keep(new Tensor(gpu, 'b', order === 'nt' ? [n, k] : [k, n])),
      keep(new Tensor(gpu, 'c', [m, n])),
    ]);
    for (const operand of [a, b]) {
      const length = operand.rows * operand.columns;
      operand.write(Float32Array.from({ length }, (_, i) => ((i * 7) % 13) / 13));
    }
    tile = await gpu.tuner.tile({ order, rows: m, columns: n, depth: k });
    const program = keep(new Program(gpu));
    await multiply(program, order, a, b, c, tile);
    await program.ready();
    milliseconds = await timeProgram(program);
  } finally {
    for (const owned of made) {
      owned.destroy();
    }
  }
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
