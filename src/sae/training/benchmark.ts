import type { Gpu } from '../../gpu/gpu.js';
import type { HostTime } from '../../gpu/pacer.js';
import type { Program } from '../../gpu/program.js';
import { Scope } from '../../gpu/scope.js';
import { type Spread, spread, timeProgram } from '../../gpu/timing.js';
import type { TrainOptions } from '../config.js';
import { Model } from '../model/model.js';
import { type Dataset, mnistNormalization, noNormalization } from '../rows/dataset.js';
import type { SparsityName } from '../sparsity/index.js';
import { Trainer } from './trainer.js';

/** A model and a batch size to time. */
export interface BenchmarkCase {
  readonly in_dims: number;
  readonly h_dims: readonly number[];
  readonly batch_size: number;
  /** Latents of a row that are selected; the KL penalty is trained with if there is none. */
  readonly k?: number;
}

/** The measurements of a training. */
export interface BenchmarkResult extends BenchmarkCase {
  /** Milliseconds per training step, over rounds of a fifth of a second. */
  readonly step: Spread;
  readonly samples_per_second: number;
  /** GFLOP/s of the GEMMs; a multiply-add counts as two operations. */
  readonly gflops: number;
  /** GB/s of the bytes that a step must move at least; see `stepTraffic`. */
  readonly gigabytes: number;
  /** Seconds from the start of the set-up to the end of the first step, with compilation. */
  readonly first_step_seconds: number;
  /** Bytes in buffers on the device, without the rows. */
  readonly device_bytes: number;
  readonly dispatches: number;
  /** Submits per step: less than 1, since a submit has many steps. */
  readonly submits: number;
  /** If a profile was asked for. */
  readonly profile?: Profile;
}

/** Where the time of a step goes. */
export interface Profile {
  /** The kernels of a step in order, each timed by itself, in milliseconds. */
  readonly kernels: readonly { readonly name: string; readonly time: Spread }[];
  /** The host's time, in milliseconds per step: encoding, waiting for the device, and the rest. */
  readonly host: { readonly encoding: number; readonly waiting: number; readonly other: number };
}

/** Most bytes of made-up rows. */
const exampleBytes = 2 ** 26;
const mostBatches = 512;
/** Milliseconds of training that are not measured, while submits grow to their length, and those that are. */
const warmUp = 700;
const measuring = 2500;
/** Milliseconds of a round: several submits, since single ones are reported in bursts. */
const aRound = 200;

/**
 * Operations of one step's GEMMs, two per multiply-add: forward, and the gradients of weights and of layers' inputs. Where
 * latents are selected, those of the encoder's product, and of the reconstruction and the gradients from as many as are selected.
 */
export function stepFlops({ in_dims, h_dims, batch_size, k }: BenchmarkCase): number {
  if (k !== undefined) {
    return 2 * batch_size * in_dims * (h_dims[0] + 4 * k);
  }
  const sizes = [in_dims, ...h_dims];
  const weights = h_dims.reduce((sum, width, i) => sum + 2 * width * sizes[i], 0);
  return 2 * batch_size * (3 * weights - in_dims * h_dims[0]);
}

/**
 * Bytes that a step moves between memory and the processor at least: every weight is read in the forward pass and,
 * except in the first layer, in the backward pass; the update reads and writes it with Adam's moments; rows are read
 * three times. Where latents are selected, the decoder's weights are read for the update alone, and the code is
 * written and read once.
 */
export function stepTraffic({ in_dims, h_dims, batch_size, k }: BenchmarkCase): number {
  if (k !== undefined) {
    return 4 * (13 * in_dims * h_dims[0] + 2 * batch_size * h_dims[0] + 3 * batch_size * in_dims);
  }
  const sizes = [in_dims, ...h_dims];
  const weights = h_dims.reduce((sum, width, i) => sum + 2 * width * sizes[i], 0);
  const valueBytes = isDigits(in_dims) ? 1 : 4;
  return 4 * (8 * weights - in_dims * h_dims[0]) + 3 * valueBytes * batch_size * in_dims;
}

/**
 * Trains a new model on made-up rows for some seconds: 8-bit rows if they have 784 values, else floats.
 * @throws LimitError, OutOfMemoryError.
 */
export function measureTraining(
  gpu: Gpu,
  benchmarkCase: BenchmarkCase,
  profile = false,
): Promise<BenchmarkResult> {
  return Scope.during(async (scope) => {
    const { in_dims, h_dims, batch_size, k } = benchmarkCase;
    const dataset = madeUpRows(benchmarkCase);
    const began = performance.now();
    const bytesBefore = gpu.allocatedBytes;
    const model = scope.use(await Model.create(gpu, { in_dims, h_dims: [...h_dims] }));
    // The step alone: what is done about dead latents is the user's choice.
    const sparsity = k === undefined ? {} : ({ sparsity: 'topk', k, revive: 'none' } as const);
    const options = { batch_size, ...sparsity } as TrainOptions<SparsityName>;
    const trainer = scope.use(await Trainer.create<SparsityName>(model, dataset, options));
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
  });
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

/** 8-bit rows if they have 784 values, else floats; of all signs where latents are selected, so that rows differ in which. */
function madeUpRows({ in_dims, batch_size, k }: BenchmarkCase): Dataset {
  const digits = isDigits(in_dims);
  const batchBytes = batch_size * in_dims * (digits ? 1 : 4);
  const rows = batch_size * Math.max(4, Math.min(mostBatches, Math.floor(exampleBytes / batchBytes)));
  const length = rows * in_dims;
  const data = digits ? new Uint8Array(length) : new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const value = i % 13 < 4 ? (i * 7919) % 251 : 0;
    const whole = (Math.imul(i, 0x9e3779b1) ^ (i >>> 7)) >> 8;
    data[i] = digits ? value : k === undefined ? value / 251 : whole / 2 ** 23;
  }
  const normalization = digits ? mnistNormalization : noNormalization;
  return { name: 'made-up rows', rows, in_dims, data, normalization };
}
