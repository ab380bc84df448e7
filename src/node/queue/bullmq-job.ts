import { setTimeout as pause } from 'node:timers/promises';
import type { Job } from 'bullmq';
import type { TakenJob } from './types.js';

interface Taking {
  /** Of the lock. */
  readonly token: string;
  /** Milliseconds for which the server keeps it. */
  readonly lock: number;
  /** When the job was asked for, as performance.now() has it. */
  readonly asked: number;
  readonly note: (sentence: string) => void;
  /** Its name. */
  readonly queue: string;
}

export class BullJob implements TakenJob {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly attempts: number;
  /** When the lock may have run out: counted from before it was asked for, so never too late. */
  #lockedUntil: number;
  #lost = false;

  constructor(
    private readonly job: Job,
    private readonly taking: Taking,
  ) {
    this.id = job.id ?? '';
    this.data = job.data;
    // BullMQ does not count as made what a worker was killed in.
    this.attempts = job.attemptsMade + job.stalledCounter;
    this.#lockedUntil = taking.asked + taking.lock;
  }

  async renew(): Promise<boolean> {
    if (this.#lost) return false;
    const asked = performance.now();
    try {
      if ((await this.job.extendLock(this.taking.token, this.taking.lock)) === 1) {
        this.#lockedUntil = asked + this.taking.lock;
      } else {
        this.#lost = true;
      }
    } catch {
      this.#lost = performance.now() >= this.#lockedUntil;
    }
    return !this.#lost;
  }

  async progress(progress: { readonly done: number; readonly of: number }): Promise<void> {
    // BullMQ would take it from one that has lost the job.
    if (!this.#lost) await this.job.updateProgress({ ...progress }).catch(() => {});
  }

  async done(): Promise<void> {
    await this.#end(() => this.job.moveToCompleted(null, this.taking.token, false));
  }

  async failed(reason: string): Promise<boolean> {
    const { attemptsMade, opts } = this.job;
    const error = new Error(reason);
    error.stack = reason;
    const isFailed = await this.#end(() => this.job.moveToFailed(error, this.taking.token, false));
    // One that is not ours any more is tried by another worker.
    return !isFailed || attemptsMade + 1 < (opts.attempts ?? 1);
  }

  async giveBack(later = 0): Promise<void> {
    const { token } = this.taking;
    await this.#end(() =>
      later > 0 ? this.job.moveToDelayed(Date.now() + later, token) : this.job.moveToWait(token),
    );
  }

  /** What ends our having it, asked until the server answers or the lock has run out. @returns whether it took place. */
  async #end(work: () => Promise<unknown>): Promise<boolean> {
    while (!this.#lost) {
      try {
        await work();
        this.#lost = true;
        return true;
      } catch (error) {
        // The server's answers as BullMQ names them: another has the lock, nobody has it, there is no such job, it is not active.
        const { code, message } = error as { code?: unknown; message: string };
        if (typeof code === 'number' && code < 0) break;
        if (performance.now() >= this.#lockedUntil) {
          this.taking.note(
            `The queue ${this.taking.queue} could not be told of the end of the job ${this.id} (${message}): it is handed out once more.`,
          );
          break;
        }
        await pause(Math.min(1000, this.taking.lock / 6));
      }
    }
    this.#lost = true;
    return false;
  }
}
