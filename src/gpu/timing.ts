import type { Device } from './device.js';
import type { Program } from './program.js';
import { Scope } from './scope.js';

/** The median, minimum and maximum of several measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The spread of at least one value. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * Measures how long the device works: by its own timestamps if it has them, else by the host's clock, which includes
 * the wait for a submit. Both are too coarse for one run of a small kernel, so many runs are timed together.
 */
export class Stopwatch {
  readonly #queries: GPUQuerySet | undefined;
  readonly #resolved: GPUBuffer | undefined;

  constructor(readonly gpu: Device) {
    const { device } = gpu;
    if (device.features.has('timestamp-query')) {
      this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 });
      this.#resolved = gpu.buffer('Timestamps', 16, GPUBufferUsage.QUERY_RESOLVE);
    }
  }

  /**
   * Milliseconds that `times` runs of a program take.
   * @param only index of the one dispatch to run; all of them by default.
   */
  async time(program: Program, times: number, only?: number): Promise<number> {
    const queries = this.#queries;
    const resolved = this.#resolved;
    if (!queries || !resolved) {
      const began = performance.now();
      program.submit(times, { only });
      await this.gpu.finish();
      return performance.now() - began;
    }
    program.submit(times, {
      only,
      timestampWrites: { querySet: queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
      after: (encoder) => encoder.resolveQuerySet(queries, 0, 2, resolved, 0),
    });
    const [begin, end] = new BigInt64Array(await this.gpu.read(resolved));
    return Number(end - begin) / 1e6;
  }

  /**
   * Finds how many runs of a program take at least `milliseconds`: a single run may take less than the resolution of
   * timestamps, or seconds.
   * @returns the number of runs, and the milliseconds of one.
   */
  async calibrate(
    program: Program,
    milliseconds: number,
    only?: number,
  ): Promise<{ times: number; each: number }> {
    // The first run compiles what the driver has deferred.
    await this.time(program, 1, only);
    for (let times = 1; ; ) {
      const took = await this.time(program, times, only);
      if (took >= milliseconds || times >= mostTimes) {
        return { times, each: took / times };
      }
      // A measurement below the resolution means nothing, so at most eight times as many runs follow.
      const wanted = (1.2 * times * milliseconds) / Math.max(took, 1e-3);
      times = Math.min(mostTimes, Math.ceil(Math.min(8 * times, Math.max(2 * times, wanted))));
    }
  }

  destroy(): void {
    this.#queries?.destroy();
    if (this.#resolved) {
      this.gpu.free(this.#resolved);
    }
  }
}

/** Runs of a program in one submit, at most. */
const mostTimes = 20_000;
/** Length of one measurement: far longer than the clock's resolution and the wait for a submit. */
const measurementMilliseconds = 60;
const measurements = 7;

/**
 * Milliseconds that one run of a program takes on the device. Each submit has many runs, so this measures throughput.
 * @param only index of the one dispatch to run; all of them by default.
 */
export function timeProgram(program: Program, only?: number): Promise<Spread> {
  return Scope.during(async (scope) => {
    const stopwatch = scope.use(new Stopwatch(program.gpu));
    const { times } = await stopwatch.calibrate(program, measurementMilliseconds, only);
    const values: number[] = [];
    for (let i = 0; i < measurements; i++) {
      values.push((await stopwatch.time(program, times, only)) / times);
    }
    return spread(values);
  });
}
