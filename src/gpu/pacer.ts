/** Submits in flight at once, so that the device has the next one when one ends. */
export const submitsInFlight = 2;

/** Work per submit: enough to hide its overhead, little enough for a driver's watchdog and a prompt Ctrl-C. */
const usualMilliseconds = 50;
/** Submits that are averaged: a busy host notices the end of one late, and that of the next soon after. */
const remembered = 4;

/** One submit, in which some work was run several times. */
export interface Submitted<T> {
  readonly times: number;
  /** Settles with the result when the device is done. */
  readonly ended: Promise<T>;
}

/** How the host spent its time, for a profile. */
export interface HostTime {
  readonly submits: number;
  /** How often the work was run in them. */
  readonly times: number;
  /** Milliseconds spent on encoding and submitting. */
  readonly encoding: number;
  /** Milliseconds in which the host only waited for the device. */
  readonly waiting: number;
}

/** Submits work repeatedly, as often per submit as the device completes in a given time. */
export class Pacer {
  #timesPerSubmit = 1;
  readonly #recent: { readonly times: number; readonly took: number }[] = [];
  #hostTime: HostTime = { submits: 0, times: 0, encoding: 0, waiting: 0 };

  /** Since the pacer was made. */
  get hostTime(): HostTime {
    return this.#hostTime;
  }

  /**
   * Keeps the device busy and yields the result of each submit, in order, when it has ended. Later submits may still be
   * running then; breaking out of the loop waits for them.
   * @param submit submits the work at most that many times. It returns undefined when there is no more to do, and a
   *   promise when there is nothing to do until that settles.
   * @param milliseconds of work per submit.
   */
  async *run<T>(
    submit: (most: number) => Submitted<T> | Promise<void> | undefined,
    milliseconds = usualMilliseconds,
  ): AsyncGenerator<T, void, void> {
    const inFlight: { times: number; began: number; ended: Promise<{ result: T; end: number }> }[] = [];
    let lastEnd = 0;
    let blocked: Promise<void> | undefined;
    const fill = () => {
      while (!blocked && inFlight.length < submitsInFlight) {
        const began = performance.now();
        const submitted = submit(this.#timesPerSubmit);
        if (!submitted) {
          return;
        }
        if (submitted instanceof Promise) {
          blocked = submitted.then(() => {
            blocked = undefined;
          });
          blocked.catch(() => {});
          return;
        }
        const { submits, times, encoding } = this.#hostTime;
        this.#hostTime = {
          ...this.#hostTime,
          submits: submits + 1,
          times: times + submitted.times,
          encoding: encoding + performance.now() - began,
        };
        const ended = submitted.ended.then((result) => ({ result, end: performance.now() }));
        // If the device is lost all of them fail, and only the oldest is awaited.
        ended.catch(() => {});
        inFlight.push({ times: submitted.times, began, ended });
      }
    };
    try {
      fill();
      while (inFlight.length > 0 || blocked) {
        if (blocked && inFlight.length === 0) {
          await blocked;
          fill();
          continue;
        }
        if (blocked) {
          // If it fails, the submits in flight are yielded first.
          await Promise.race([blocked.catch(() => {}), inFlight[0].ended]);
          fill();
        }
        const { times, began, ended } = inFlight[0];
        const waitBegan = performance.now();
        const { result, end } = await ended;
        const waiting = this.#hostTime.waiting + performance.now() - waitBegan;
        this.#hostTime = { ...this.#hostTime, waiting };
        inFlight.shift();
        this.#adjust(times, end - Math.max(lastEnd, began), milliseconds);
        lastEnd = end;
        fill();
        yield result;
        // What was waited for may have come while the caller used the result.
        fill();
      }
    } finally {
      await Promise.allSettled(inFlight.map(({ ended }) => ended));
    }
  }

  #adjust(times: number, took: number, milliseconds: number): void {
    this.#recent.push({ times, took });
    if (this.#recent.length > remembered) {
      this.#recent.shift();
    }
    const sum = (key: 'times' | 'took') => this.#recent.reduce((total, submit) => total + submit[key], 0);
    const fitting = (milliseconds / Math.max(sum('took'), 0.01)) * sum('times');
    // At most twice as many as were timed, so that one short measurement does not lead to a submit of seconds.
    const most = 2 * Math.max(...this.#recent.map((submit) => submit.times));
    this.#timesPerSubmit = Math.max(1, Math.floor(Math.min(fitting, most)));
  }
}
