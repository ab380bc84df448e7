import type { Gpu } from './gpu.js';
import type { Program } from './program.js';

/** A median with the least and the most that was measured. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * Tells how long the device works: by its own timestamps where it has them, else by the host's clock, which counts the
 * wait for a submit as well. Either is too coarse for one run of a small kernel; many together are timed.
 */
export class Stopwatch {
  readonly #queries: GPUQuerySet | undefined;
  readonly #resolved: GPUBuffer | undefined;

  constructor(readonly gpu: Gpu) {
    const { device } = gpu;
    if (device.features.has('timestamp-query')) {
      this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 });
      this.#resolved = device.createBuffer({
        size: 16,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      });
    }
  }

  /**
   * Milliseconds that `times` runs of a program take.
   * @param only index of the one dispatch to run; all of them where it is not given.
   */
  async time(program: Program, times: number, only?: number): Promise<number> {
    const queries = this.#queries;
    const resolved = this.#resolved;
    const { device } = this.gpu;
    const began = performance.now();
    const encoder = device.createCommandEncoder();
    if (!queries || !resolved) {
      program.encode(encoder, times, only);
      device.queue.submit([encoder.finish()]);
      await this.gpu.finish();
      return performance.now() - began;
    }
    program.encode(encoder, times, only, {
      querySet: queries,
      beginningOfPassWriteIndex: 0,
      endOfPassWriteIndex: 1,
    });
    encoder.resolveQuerySet(queries, 0, 2, resolved, 0);
    device.queue.submit([encoder.finish()]);
    const [begin, end] = new BigInt64Array(await this.gpu.read(resolved));
    const nanoseconds = Number(end - begin);
    // Drivers may give nonsense, zero or backwards.
    return nanoseconds > 0 ? nanoseconds / 1e6 : performance.now() - began;
  }

  destroy(): void {
    this.#queries?.destroy();
    this.#resolved?.destroy();
  }
}

/** How long one measurement should last: far longer than the clock's grain and the wait for a submit. */
const measurementMilliseconds = 60;
const measurements = 7;

/**
 * Milliseconds that one run of a program takes on the device, many runs a submit, so that what is measured is their
 * throughput.
 * @param only index of the one dispatch to run; all of them where it is not given.
 */
export async function timeProgram(program: Program, only?: number): Promise<Spread> {
  const stopwatch = new Stopwatch(program.gpu);
  try {
    await stopwatch.time(program, 1, only);
    const one = await stopwatch.time(program, 1, only);
    const times = Math.max(1, Math.min(20_000, Math.round(measurementMilliseconds / one)));
    const values: number[] = [];
    for (let i = 0; i < measurements; i++) {
      values.push((await stopwatch.time(program, times, only)) / times);
    }
    return spread(values);
  } finally {
    stopwatch.destroy();
  }
}
