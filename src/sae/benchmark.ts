import type { Gpu } from '../gpu/gpu.js';
import { type Spread, spread, timeProgram } from '../gpu/timing.js';
import type { Dataset } from './dataset.js';
import { Model } from './model.js';
import { Trainer } from './trainer.js';

/** A model and a batch size to be timed. */
export interface BenchmarkCase {
  readonly in_dims: number;
  readonly h_dims: readonly number[];
  readonly batch_size: number;
}

export interface BenchmarkResult extends BenchmarkCase {
  /** Milliseconds a training step, over epochs of a few dozen steps. */
  readonly step: Spread;
  readonly samples_per_second: number;
  /** Of the GEMMs' multiply-adds, counted as two. */
  readonly gflops: number;
  /** From the beginning of set-up to the end of the first step, in seconds: compilation included. */
  readonly first_step_seconds: number;
  /** Bytes in buffers on the device. */
  readonly device_bytes: number;
  readonly dispatches: number;
  /** Kernels in the order of a step, where a profile was asked for; in milliseconds. */
  readonly profile?: readonly { readonly name: string; readonly time: Spread }[];
}

const batches = 16;
const epochs = 8;

/** Multiply-adds of one step's GEMMs, counted as two: forward, the gradients of weights and of layers' inputs. */
export function stepFlops({ in_dims, h_dims, batch_size }: BenchmarkCase): number {
  const sizes = [in_dims, ...h_dims];
  const weights = h_dims.reduce((sum, width, i) => sum + 2 * width * sizes[i], 0);
  return 2 * batch_size * (3 * weights - in_dims * h_dims[0]);
}

/**
 * Trains a new model on made-up rows: 8-bit ones for 784 values, floats otherwise.
 * @throws LimitError, OutOfMemoryError.
 */
export async function measureTraining(
  gpu: Gpu,
  benchmarkCase: BenchmarkCase,
  profile = false,
): Promise<BenchmarkResult> {
  const { in_dims, h_dims, batch_size } = benchmarkCase;
  const began = performance.now();
  const bytesBefore = gpu.allocatedBytes;
  const model = await Model.create(gpu, { in_dims, h_dims: [...h_dims] });
  const dataset = madeUpRows(batches * batch_size, in_dims);
  const trainer = await Trainer.create(model, dataset, { batch_size, epochs: epochs + 1 });
  try {
    let firstStep = 0;
    const steps: number[] = [];
    const progress = () => {
      firstStep ||= performance.now() - began;
    };
    for await (const { epoch, samples_per_second } of trainer.epochs({ progress })) {
      if (epoch > 1) {
        steps.push((batch_size / samples_per_second) * 1000);
      }
    }
    const { program } = trainer.step;
    const times = [];
    for (let i = 0; profile && i < program.length; i++) {
      times.push({ name: program.name(i), time: await timeProgram(program, i) });
    }
    const step = spread(steps);
    return {
      ...benchmarkCase,
      step,
      samples_per_second: (batch_size / step.median) * 1000,
      gflops: stepFlops(benchmarkCase) / step.median / 1e6,
      first_step_seconds: firstStep / 1000,
      device_bytes: gpu.allocatedBytes - bytesBefore,
      dispatches: program.length,
      ...(profile && { profile: times }),
    };
  } finally {
    trainer.close();
    model.close();
  }
}

function madeUpRows(rows: number, in_dims: number): Dataset {
  const digits = in_dims === 784;
  const value = (i: number) => ((i * 7919) % 251) * ((i % 13) % 3 === 0 ? 1 : 0);
  const length = rows * in_dims;
  return {
    name: 'made-up rows',
    rows,
    in_dims,
    data: digits
      ? Uint8Array.from({ length }, (_, i) => value(i))
      : Float32Array.from({ length }, (_, i) => value(i) / 251),
    normalization: digits ? { mean: 0.1307, std: 0.3081 } : { mean: 0, std: 1 },
  };
}
