import type { Gpu } from '../../gpu/gpu.js';
import type { KernelSource } from '../../gpu/kernel.js';
import { type Bindings, Program, type Workgroups } from '../../gpu/program.js';
import type { Scope } from '../../gpu/scope.js';
import { Tensor } from '../../gpu/tensor.js';
import { type Random, randomPair } from '../model/random.js';

/** What a check compared. */
export interface Finding {
  /** What it is of, such as `gradients of the decoder`. */
  readonly what: string;
  /** The largest error, or that which exceeds its bound most. NaN where a value is no number. */
  readonly error: number;
  readonly bound: number;
}

/** Known answers for some kernels. */
export interface Check {
  /** The kernels, such as `product nt shared`: an order of operands and a family. */
  readonly name: string;
  /** The sizes of what it computes. */
  readonly size: string;
  run(bench: CheckBench): Promise<readonly Finding[]>;
}

/** What a short training comes to. */
export interface Outcome {
  /** The loss of each step. */
  readonly losses: readonly number[];
  /** Of each parameter, and of the reconstructions by the trained model: their norm, and products with vectors of 1 and -1 drawn by chance. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
}

/** Tensors, buffers and programs of one check, which are freed together. */
export class CheckBench {
  constructor(
    readonly gpu: Gpu,
    readonly scope: Scope,
  ) {}

  /** A tensor with these values or, so that nothing can be left as it is, with others than any answer. */
  tensor(name: string, shape: readonly number[], values?: Float32Array<ArrayBuffer>): Tensor {
    const tensor = this.scope.use(new Tensor(this.gpu, name, shape));
    if (values) {
      tensor.write(values);
    } else {
      this.gpu.write(tensor.buffer, new Float32Array(tensor.buffer.size / 4).fill(7e7));
    }
    return tensor;
  }

  /** A storage buffer with these words. */
  buffer(label: string, words: Uint32Array<ArrayBuffer>, usage = 0): GPUBuffer {
    const { gpu } = this;
    const buffer = this.scope.adopt(gpu.buffer(label, words.byteLength, usage), (own) => gpu.free(own));
    gpu.write(buffer, words);
    return buffer;
  }

  /** A record of `struct Step`, as a kernel binds it. */
  step(rows: number, { rates = [0, 0], coefficients = [0, 0, 0, 0] } = {}): GPUBuffer {
    const words = new Uint32Array(8);
    words[1] = rows;
    new Float32Array(words.buffer).set([...rates, ...coefficients], 2);
    return this.buffer("A step's record", words, GPUBufferUsage.UNIFORM);
  }

  program(): Program {
    return this.scope.use(new Program(this.gpu));
  }

  /** Runs what `add` appends. */
  async run(add: (program: Program) => void | Promise<void>): Promise<void> {
    const program = this.program();
    await add(program);
    await program.ready();
    program.submit();
  }

  /** Runs one kernel. */
  dispatch(source: KernelSource, bindings: Bindings, workgroups: Workgroups): Promise<void> {
    return this.run((program) => program.add(source, bindings, workgroups));
  }
}

/** Numbers in `low`..`high`, always the same ones. */
export function values(seed: number, length: number, low = -1, high = 1): Float32Array<ArrayBuffer> {
  const random: Random = randomPair(seed).forWeights;
  return Float32Array.from({ length }, () => low + ((high - low) * (random.next() >>> 8)) / 2 ** 24);
}

/** The value whose error exceeds its bound most. @param allowed the bound of each. */
export function compared(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  allowed: (i: number) => number,
): Finding {
  if (actual.length !== expected.length) return { what, error: Number.NaN, bound: 0 };
  let worst: Finding = { what, error: 0, bound: expected.length > 0 ? allowed(0) : 0 };
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const bound = allowed(i);
    if (Number.isNaN(error)) return { what, error, bound };
    const times = error === 0 ? 0 : error / bound;
    if (times > most) {
      most = times;
      worst = { what, error, bound };
    }
  }
  return worst;
}

/** The number of values that differ, none of which may: of whole numbers, and of what is only moved. */
export function different(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>): Finding {
  let error = Math.abs(actual.length - expected.length);
  for (let i = 0; i < expected.length; i++) {
    // A device need not keep the sign of 0.
    if (actual[i] !== expected[i]) error += 1;
  }
  return { what: `${what}, how many differ`, error, bound: 0 };
}

/** Half of the distance from 1 to the next f32. */
export const rounding = 2 ** -24;

/**
 * The bound of the relative error of a sum of so many terms, by the sum of their magnitudes, in any order: rounding errors seldom add up, so
 * that they grow with the root (Higham and Mary, 2019). Eight times that is not exceeded by chance.
 */
export function sumBound(terms: number): number {
  return Math.min(terms + 4, 8 * Math.sqrt(terms) + 4) * rounding;
}

/**
 * The bound of the error of a sum whose terms have either sign by chance: in any order, sums of some of them are hardly more than three times the
 * root of all squares, and each addition rounds to half of what follows such a number. Roundings grow with the root, too.
 */
export function cancellingBound(terms: number, squares: number): number {
  return (4 * Math.sqrt(terms) + 4) * rounding * 3 * Math.sqrt(squares);
}
