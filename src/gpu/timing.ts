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

/** How long one measurement should last: far longer than the clock's grain and the wait for a submit. */
const measurementMilliseconds = 60;
const measurements = 7;

/**
 * Milliseconds that one run of a program takes on the device, by the host's clock: many runs a submit, so that what is
 * measured is their throughput. Timestamps on the device are quantised far too coarsely for single kernels.
 * @param only index of the one dispatch to run; all of them where it is not given.
 */
export async function timeProgram(program: Program, only?: number): Promise<Spread> {
  const time = async (times: number) => {
    const began = performance.now();
    program.submit(times, only);
    await program.gpu.finish();
    return performance.now() - began;
  };
  await time(1);
  const times = Math.max(1, Math.min(20_000, Math.round(measurementMilliseconds / (await time(1)))));
  const values: number[] = [];
  for (let i = 0; i < measurements; i++) {
    values.push((await time(times)) / times);
  }
  return spread(values);
}
