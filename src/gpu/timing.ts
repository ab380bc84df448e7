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
    const encoder = device.createCommandEncoder();
    if (!queries || !resolved) {
      const began = performance.now();
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
    return Number(end - begin) / 1e6;
  }

  /**
   * Runs a program more and more often until a measurement lasts that long: a single run may take less than a
   * timestamp's grain, or seconds.
   * @returns how often that was, and the milliseconds of one run.
   */
  async calibrate(
    program: Program,
    milliseconds: number,
    only?: number,
  ): Promise<{ times: number; each: number }> {
    // The first run compiles what the driver has put off.
    await this.time(program, 1, only);
    for (let times = 1; ; ) {
      const took = await this.time(program, times, only);
      if (took >= milliseconds || times >= mostTimes) {
        return { times, each: took / times };
      }
      // A measurement below the grain says nothing: at most eight times as many.
      const wanted = (1.2 * times * milliseconds) / Math.max(took, 1e-3);
      times = Math.min(mostTimes, Math.ceil(Math.min(8 * times, Math.max(2 * times, wanted))));
    }
  }

  destroy(): void {
    this.#queries?.destroy();
    this.#resolved?.destroy();
  }
}

/** Runs of a program in one submit, at most. */
const mostTimes = 20_000;
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
    const { times } = await stopwatch.calibrate(program, measurementMilliseconds, only);
    const values: number[] = [];
    for (let i = 0; i < measurements; i++) {
      values.push((await stopwatch.time(program, times, only)) / times);
    }
    return spread(values);
  } finally {
    stopwatch.destroy();
  }
}
