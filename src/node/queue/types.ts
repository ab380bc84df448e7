/** A group of trials to be trained side by side. */
export interface Job {
  /** Not of digits alone, and without colons. */
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A job that a worker has. */
export interface TakenJob extends Job {
  /** How often it was begun before, but for what was given back. */
  readonly attempts: number;
  /**
   * Keeps it; to be called at least every third of the lock's time.
   * @returns false if another worker has it by now, or nobody knows it any more: its work is to be ended. Throws nothing for an
   * unreachable server: true until the lock must have run out.
   */
  renew(): Promise<boolean>;
  /** @param progress shown by boards; nothing depends on it. */
  progress(progress: { readonly done: number; readonly of: number }): Promise<void>;
  /** It is done. No effect if another worker has it by now. */
  done(): Promise<void>;
  /** It failed: tried again later, with backoff, up to the limit. @returns whether it will be. */
  failed(reason: string): Promise<boolean>;
  /** Gives it back without an attempt being counted, as before a preemption. @param later milliseconds until it is handed out again. */
  giveBack(later?: number): Promise<void>;
}

export interface QueueState {
  /** Those that wait for their next attempt are among them. */
  readonly waiting: number;
  readonly active: number;
  readonly done: number;
  readonly failed: number;
  readonly paused: boolean;
}

/**
 * Hands out jobs to workers. It may forget and it may hand out a job twice: the truth is elsewhere, in the store.
 * What its server does not answer is asked again for as long as a lock lasts, and is then an EngineError.
 */
export interface Queue {
  /** As messages name it, without a password. */
  readonly name: string;
  /**
   * Adds jobs that are not there; one that failed for good is tried again. Their ids say which are the same.
   * @param options its `priority`: 0 first, at most 2,097,152.
   */
  add(jobs: readonly Job[], options?: { readonly priority?: number }): Promise<void>;
  /** Forgets jobs that no worker has, so that those that are done can be added again. */
  forget(ids: readonly string[]): Promise<void>;
  /** The next job, when there is one. While the server cannot be reached there is none. @param signal ends the waiting: undefined. */
  take(signal: AbortSignal): Promise<TakenJob | undefined>;
  state(): Promise<QueueState>;
  /** Nothing is handed out until it is resumed. What workers have goes on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Jobs that were taken and not given back are handed out again when their locks have run out. */
  close(): Promise<void>;
}

export interface QueueOptions {
  /** Told what does not stop the work and somebody should know, in a sentence. */
  readonly onNote?: (sentence: string) => void;
  /** Milliseconds for which a job stays with a worker that does not renew it: 60,000 if not given. */
  readonly lock?: number;
}
