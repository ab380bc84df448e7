import type { Gpu } from '../gpu/gpu.js';
import type { HostTime } from '../gpu/pacer.js';
import type { Program } from '../gpu/program.js';
import { type Spread, spread, timeProgram } from '../gpu/timing.js';
import { type Dataset, mnistNormalization, noNormalization } from './dataset.js';
import { Model } from './model.js';
import { Trainer } from './trainer.js';

/** A model and a batch size to be timed. */
export interface BenchmarkCase {
  readonly in_dims: number;
  readonly h_dims: readonly number[];
  readonly batch_size: number;
}

export interface BenchmarkResult extends BenchmarkCase {
  /** Milliseconds a training step, by rounds of a fifth of a second. */
  readonly step: Spread;
  readonly samples_per_second: number;
  /** Of the GEMMs' multiply-adds, counted as two. */
  readonly gflops: number;
  /** Thousand millions of bytes a second, of those that a step moves at least; see `stepTraffic`. */
  readonly gigabytes: number;
  /** From the beginning of set-up to the end of the first step, in seconds: compilation included. */
  readonly first_step_seconds: number;
  /** Bytes in buffers on the device, but for the examples. */
  readonly device_bytes: number;
  readonly dispatches: number;
  /** Submits a step: many steps go into one. */
  readonly submits: number;
  /** Where a profile was asked for. */
  readonly profile?: Profile;
}

export interface Profile {
  /** Kernels in the order of a step, each timed by itself; in milliseconds. */
  readonly kernels: readonly { readonly name: string; readonly time: Spread }[];
  /** What the host does meanwhile, in milliseconds a step: encoding, waiting for the device, and all else. */
  readonly host: { readonly encoding: number; readonly waiting: number; readonly other: number };
}

/** Bytes of examples that are made up at most. */
const exampleBytes = 2 ** 26;
const mostBatches = 512;
/** Milliseconds before the first step counts, while submits grow to their length, and while they count. */
const warmUp = 700;
const measuring = 2500;
/** Several submits: the ends of single ones are told in bursts. */
const aRound = 200;

/** Multiply-adds of one step's GEMMs, counted as two: forward, the gradients of weights and of layers' inputs. */
export function stepFlops({ in_dims, h_dims, batch_size }: BenchmarkCase): number {
  const sizes = [in_dims, ...h_dims];
  const weights = h_dims.reduce((sum, width, i) => sum + 2 * width * sizes[i], 0);
  return 2 * batch_size * (3 * weights - in_dims * h_dims[0]);
}

/**
 * Bytes that a step moves between memory and the processor at the least: every weight is read going forward and, but for
 * the first layer's, going back, and read, with Adam's moments, and written by the update; rows are read three times.
 */
export function stepTraffic({ in_dims, h_dims, batch_size }: BenchmarkCase): number {
  const sizes = [in_dims, ...h_dims];
  const weights = h_dims.reduce((sum, width, i) => sum + 2 * width * sizes[i], 0);
  const valueBytes = isDigits(in_dims) ? 1 : 4;
  return 4 * (8 * weights - in_dims * h_dims[0]) + 3 * valueBytes * batch_size * in_dims;
}

/**
 * Trains a new model on made-up rows for some seconds: 8-bit rows for 784 values, floats otherwise.
 * @throws LimitError, OutOfMemoryError.
 */
export async function measureTraining(
  gpu: Gpu,
  benchmarkCase: BenchmarkCase,
  profile = false,
): Promise<BenchmarkResult> {
  const { in_dims, h_dims, batch_size } = benchmarkCase;
  const dataset = madeUpRows(benchmarkCase);
  const began = performance.now();
  const bytesBefore = gpu.allocatedBytes;
  const model = await Model.create(gpu, { in_dims, h_dims: [...h_dims] });
  const trainer = await Trainer.create(model, dataset, { batch_size });
  try {
    const enough = new AbortController();
    const times: number[] = [];
    let firstStep = 0;
    let last = 0;
    let warm: { began: number; host: HostTime } | undefined;
    let round = { began: 0, steps: 0 };
    for await (const { steps } of trainer.steps({ signal: enough.signal })) {
      const now = performance.now();
      firstStep ||= now;
      last = now;
      if (!warm) {
        if (now - firstStep > warmUp) {
          warm = { began: now, host: trainer.hostTime };
          round = { began: now, steps: 0 };
        }
        continue;
      }
      round.steps += steps.length;
      if (now - round.began > aRound) {
        times.push((now - round.began) / round.steps);
        round = { began: now, steps: 0 };
      }
      if (now - warm.began > measuring && times.length > 2) {
        enough.abort();
      }
    }
    const { program } = trainer.step;
    const step = spread(times);
    const host = trainer.hostTime;
    return {
      ...benchmarkCase,
      step,
      samples_per_second: (batch_size / step.median) * 1000,
      gflops: stepFlops(benchmarkCase) / step.median / 1e6,
      gigabytes: stepTraffic(benchmarkCase) / step.median / 1e6,
      first_step_seconds: (firstStep - began) / 1000,
      device_bytes: gpu.allocatedBytes - bytesBefore - dataset.data.byteLength,
      dispatches: program.length,
      submits: host.submits / host.times,
      ...(profile && warm && { profile: await measureProfile(program, hostShare(warm, host, last)) }),
    };
  } finally {
    trainer.close();
    model.close();
  }
}

function hostShare(from: { began: number; host: HostTime }, to: HostTime, end: number): Profile['host'] {
  const steps = to.times - from.host.times;
  const encoding = (to.encoding - from.host.encoding) / steps;
  const waiting = (to.waiting - from.host.waiting) / steps;
  return { encoding, waiting, other: (end - from.began) / steps - encoding - waiting };
}

async function measureProfile(program: Program, host: Profile['host']): Promise<Profile> {
  const kernels = [];
  for (let i = 0; i < program.length; i++) {
    kernels.push({ name: program.name(i), time: await timeProgram(program, i) });
  }
  return { kernels, host };
}

function isDigits(in_dims: number): boolean {
  return in_dims === 784;
}

function madeUpRows({ in_dims, batch_size }: BenchmarkCase): Dataset {
  const digits = isDigits(in_dims);
  const batchBytes = batch_size * in_dims * (digits ? 1 : 4);
  const rows = batch_size * Math.max(4, Math.min(mostBatches, Math.floor(exampleBytes / batchBytes)));
  const length = rows * in_dims;
  const data = digits ? new Uint8Array(length) : new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const value = i % 13 < 4 ? (i * 7919) % 251 : 0;
    data[i] = digits ? value : value / 251;
  }
  const normalization = digits ? mnistNormalization : noNormalization;
  return { name: 'made-up rows', rows, in_dims, data, normalization };
}
