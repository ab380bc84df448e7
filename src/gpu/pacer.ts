/** Submits that may wait on the device at once: the next is ready when one ends. */
export const submitsInFlight = 2;

/** Work a submit should hold: long enough to cost nothing, short enough for a driver's watchdog and a quick Ctrl-C. */
const usualMilliseconds = 50;
/** So many submits are measured together: a host that was busy sees one end late, and the next one soon after. */
const remembered = 4;

/** One submit, in which something was run some times. */
export interface Submitted<T> {
  readonly times: number;
  /** Settles when the device has done it, with what it gave. */
  readonly ended: Promise<T>;
}

/** What has become of the host's time, for a profile. */
export interface HostTime {
  readonly submits: number;
  /** How many times the work was run in them. */
  readonly times: number;
  /** Milliseconds spent on encoding and submitting. */
  readonly encoding: number;
  /** Milliseconds in which the host had nothing to do but wait for the device. */
  readonly waiting: number;
}

/** Submits work again and again, as many times a submit as the device gets done in the time it is given. */
export class Pacer {
  #timesPerSubmit = 1;
  readonly #recent: { readonly times: number; readonly took: number }[] = [];
  #hostTime: HostTime = { submits: 0, times: 0, encoding: 0, waiting: 0 };

  /** Since the beginning. */
  get hostTime(): HostTime {
    return this.#hostTime;
  }

  /**
   * Keeps the device busy and gives what each submit gave, in their order, when it has ended; others are in flight
   * then. Whoever stops listening waits for those.
   * @param submit submits the work at most that many times; undefined where there is no more to do.
   * @param milliseconds of work that a submit should hold.
   */
  async *run<T>(
    submit: (most: number) => Submitted<T> | undefined,
    milliseconds = usualMilliseconds,
  ): AsyncGenerator<T, void, void> {
    const inFlight: { times: number; began: number; ended: Promise<{ result: T; end: number }> }[] = [];
    let lastEnd = 0;
    const fill = () => {
      while (inFlight.length < submitsInFlight) {
        const began = performance.now();
        const submitted = submit(this.#timesPerSubmit);
        if (!submitted) {
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
        // Where the device is lost all of them fail, and only the oldest is waited for.
        ended.catch(() => {});
        inFlight.push({ times: submitted.times, began, ended });
      }
    };
    try {
      fill();
      while (inFlight.length > 0) {
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
    // At most twice as many as were timed: one quick measurement should not make a submit of seconds.
    const most = 2 * Math.max(...this.#recent.map((submit) => submit.times));
    this.#timesPerSubmit = Math.max(1, Math.floor(Math.min(fitting, most)));
  }
}
