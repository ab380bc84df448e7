import { afterAll, afterEach } from 'vitest';
import { type GemmTile, gemmFamilies } from '../../src/gpu/gemm/tiles.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import type { KernelSource } from '../../src/gpu/kernel.js';
import { type Bindings, Program, type Workgroups } from '../../src/gpu/program.js';
import { Scope } from '../../src/gpu/scope.js';
import { padded, Tensor } from '../../src/gpu/tensor.js';
import { openGpu } from '../../src/node/adapters.js';
import { uniform } from '../reference/random.js';

/**
 * A GPU for a test file, closed at its end. A test fails where the device refused a command meanwhile.
 * @param tiles of products: a small one for all shapes, so that what one file has compiled serves the others, too; or those that users get.
 */
export async function gpuOfFile(tiles: 'one' | 'chosen' = 'one'): Promise<Gpu> {
  const gpu = await openGpu();
  if (tiles === 'one') {
    useFamily(gpu, mainFamily(gpu));
  }
  afterEach(() => gpu.finish());
  afterAll(() => gpu.close());
  return gpu;
}

/** f32 values between `low` and `high`. */
export function reals(
  random: () => number,
  length: number,
  low: number,
  high: number,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(uniform(random, length, low, high));
}

/** Whether two arrays hold the same values bit for bit, -0 and NaN included. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}

/** What is in a tensor's buffer, padding included. */
export async function rawValues(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
  return new Float32Array(await tensor.gpu.read(tensor.buffer));
}

/** The sum of the magnitudes of all padding, or of the padding columns only: 0 where it is zeros. */
export async function paddingOf(tensor: Tensor, only?: 'columns'): Promise<number> {
  const raw = await rawValues(tensor);
  const stride = padded(tensor.columns);
  let sum = 0;
  raw.forEach((value, i) => {
    const outside = i % stride >= tensor.columns || (only === undefined && i >= tensor.rows * stride);
    sum += outside ? Math.abs(value) : 0;
  });
  return sum;
}

/** Tensors and buffers for one small computation, all freed together. */
export class Bench {
  readonly #scope = new Scope();

  constructor(readonly gpu: Gpu) {}

  /** A tensor with these values, or zeros. */
  tensor(name: string, shape: readonly number[], values?: Float32Array<ArrayBuffer>): Tensor {
    const tensor = this.#scope.use(new Tensor(this.gpu, name, shape));
    if (values) {
      tensor.write(values);
    }
    return tensor;
  }

  /** A tensor whose every value, padding included, is wrong until a kernel has written it. */
  unwritten(name: string, shape: readonly number[]): Tensor {
    const tensor = this.tensor(name, shape);
    const garbage = new Float32Array(tensor.buffer.size / 4).fill(7e7);
    this.gpu.device.queue.writeBuffer(tensor.buffer, 0, garbage);
    return tensor;
  }

  /** A storage buffer that holds these numbers and may be larger. */
  buffer(values: Uint32Array<ArrayBuffer>, bytes = values.byteLength, usage = 0): GPUBuffer {
    const buffer = this.#scope.adopt(this.gpu.buffer('test', bytes, usage), (own) => this.gpu.free(own));
    this.gpu.device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  }

  /** One record of `struct Step`, as a kernel binds it. */
  step({ first_row = 0, rows = 0, rates = [], coefficients = [] }: Partial<StepRecord>): GPUBuffer {
    const words = new Uint32Array(8);
    words.set([first_row, rows]);
    const floats = new Float32Array(words.buffer);
    floats.set(rates, 2);
    floats.set(coefficients, 4);
    return this.buffer(words, 32, GPUBufferUsage.UNIFORM);
  }

  /** A program that is freed with the rest. */
  program(): Program {
    return this.#scope.use(new Program(this.gpu));
  }

  /** Runs one kernel once. */
  async run(
    source: KernelSource | readonly string[],
    bindings: Bindings,
    workgroups: Workgroups,
  ): Promise<void> {
    const program = this.program();
    program.add(Array.isArray(source) ? { files: source } : (source as KernelSource), bindings, workgroups);
    await program.ready();
    program.submit();
  }

  async words(buffer: GPUBuffer): Promise<Uint32Array<ArrayBuffer>> {
    return new Uint32Array(await this.gpu.read(buffer));
  }

  destroy(): void {
    this.#scope.destroy();
  }
}

/** `struct Step` of metrics/step.wgsl. */
export interface StepRecord {
  readonly first_row: number;
  readonly rows: number;
  readonly rates: readonly number[];
  readonly coefficients: readonly number[];
}

/** Lends `use` a bench, and frees what it made there. */
export async function onBench<T>(gpu: Gpu, use: (bench: Bench) => Promise<T>): Promise<T> {
  const bench = new Bench(gpu);
  try {
    return await use(bench);
  } finally {
    bench.destroy();
  }
}

/** While `use` runs, the device reports other limits than it has. */
export async function withLimits<T>(
  gpu: Gpu,
  limits: Partial<Record<keyof GPUSupportedLimits, number>>,
  use: () => Promise<T>,
): Promise<T> {
  const { device } = gpu;
  const real = device.limits;
  const own = Object.getOwnPropertyDescriptor(device, 'limits');
  const reported = new Proxy(real, {
    get: (target, name) => limits[name as keyof GPUSupportedLimits] ?? Reflect.get(target, name, target),
  });
  Object.defineProperty(device, 'limits', { value: reported, configurable: true });
  try {
    return await use();
  } finally {
    Reflect.deleteProperty(device, 'limits');
    if (own) {
      Object.defineProperty(device, 'limits', own);
    }
  }
}

/** While `use` runs, a dispatch takes that much work at most, as far as it can be cut. */
export async function useMostWork<T>(gpu: Gpu, mostWork: number, use: () => Promise<T>): Promise<T> {
  const usual = gpu.mostWork;
  Object.assign(gpu, { mostWork });
  try {
    return await use();
  } finally {
    Object.assign(gpu, { mostWork: usual });
  }
}

/** The families that this adapter can run: `subgroup` needs subgroups of one known size, `wide` of eight invocations. */
export function familiesOf(gpu: Gpu): GemmTile['family'][] {
  const { subgroupSize } = gpu;
  const lacking = [subgroupSize === undefined && 'subgroup', subgroupSize !== 8 && 'wide'];
  return gemmFamilies.filter((family) => !lacking.includes(family));
}

/** The family for what is the same in all of them: the one that this adapter is quick to compile. */
export function mainFamily(gpu: Gpu): GemmTile['family'] {
  return familiesOf(gpu).at(-1)!;
}

/** From now on a GPU uses one tile for every GEMM, of the given family: a small one, which is compiled sooner. */
export function useFamily(gpu: Gpu, family: GemmTile['family']): void {
  const tiles: Record<GemmTile['family'], GemmTile> = {
    shared: {
      family: 'shared',
      tile_rows: 1,
      tile_columns: 1,
      threads_rows: 4,
      threads_columns: 2,
      slice_depth: 1,
    },
    split: { family: 'split', splits: 2, tile_rows: 1, tile_columns: 1 },
    register: { family: 'register', tile_rows: 1, tile_columns: 1, threads_rows: 4, threads_columns: 1 },
    subgroup: {
      family: 'subgroup',
      lanes: gpu.subgroupSize ?? 0,
      lane_blocks: 1,
      shared_blocks: 2,
      turns: 1,
      lanes_along_rows: 0,
    },
    wide: { family: 'wide' },
  };
  gpu.tuner.tile = async () => tiles[family];
}
