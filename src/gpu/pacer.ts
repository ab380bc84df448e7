import type { Program } from './program.js';

/** Work a submit should hold: long enough to cost nothing, short enough for a driver's watchdog and a quick Ctrl-C. */
const targetMilliseconds = 50;
/** Submits that may wait on the device at once: the next is ready when one ends. */
const submitsInFlight = 2;

/** Submits a program again and again, as many times a submit as the device gets done in about 50 ms. */
export class Pacer {
  #timesPerSubmit = 1;

  /**
   * Runs `program` `times` times; never waits between two of them while the device has work left.
   * @param done is told how many times have been done, whenever a submit ends.
   * @returns how many times it was run: fewer than asked for where `signal` was aborted.
   */
  async run(
    program: Program,
    times: number,
    signal?: AbortSignal,
    done?: (times: number) => void,
  ): Promise<number> {
    const { gpu } = program;
    const inFlight: { count: number; submitted: number; ended: Promise<void> }[] = [];
    let submitted = 0;
    let finished = 0;
    let lastEnd = 0;
    while (finished < times) {
      const more = submitted < times && !signal?.aborted;
      if (more && inFlight.length < submitsInFlight) {
        const count = Math.min(this.#timesPerSubmit, times - submitted);
        program.submit(count);
        submitted += count;
        const ended = gpu.finish();
        // Where the device is lost all of them fail, and only the oldest is waited for.
        ended.catch(() => {});
        inFlight.push({ count, submitted: performance.now(), ended });
        continue;
      }
      const oldest = inFlight.shift();
      if (!oldest) {
        break;
      }
      await oldest.ended;
      const end = performance.now();
      this.#adjust(oldest.count, end - Math.max(lastEnd, oldest.submitted));
      lastEnd = end;
      finished += oldest.count;
      done?.(finished);
    }
    return finished;
  }

  #adjust(count: number, milliseconds: number): void {
    const fitting = (targetMilliseconds / Math.max(milliseconds, 0.01)) * count;
    // At most twice as many as were timed: one quick measurement should not make a submit of seconds.
    this.#timesPerSubmit = Math.max(1, Math.floor(Math.min(fitting, 2 * count)));
  }
}
