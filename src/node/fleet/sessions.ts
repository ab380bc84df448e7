import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { isDead, owner } from '../owner.js';
import type { Store } from '../store/store.js';
import { bytesOf, jsonOf, unique } from './records.js';

/** Milliseconds after which a worker that did not renew its record counts as dead. */
export const usualLease = 60_000;

/** A worker, as its record tells. */
export interface WorkerRecord {
  readonly host: string;
  /** Its process, as `owner` names it. */
  readonly owner: string;
  readonly adapter: string;
  readonly began: string;
  /** Milliseconds within which it renews it. */
  readonly lease: number;
  readonly write: string;
  /** Steps of the trials that it is at work on, by their names, with what they came to so far. */
  readonly progress: Readonly<Record<string, TrialProgress>>;
}

export interface TrialProgress {
  readonly steps: number;
  readonly of: number;
  readonly explained_variance?: number;
  readonly active?: number;
}

const prefix = 'workers/';
const keyOf = (worker: string) => `${prefix}${worker}.json`;

/**
 * A worker's record in the store, which it renews for as long as it lives. Whoever finds that the record has not changed for the lease, by a
 * clock of his own, removes it, and takes what that worker had. So no two clocks are compared; and a worker that slept finds its record gone.
 */
export class Session {
  readonly id = `w${unique()}`;
  readonly #lost = new AbortController();
  readonly #ending = new AbortController();
  #progress: WorkerRecord['progress'] = {};
  #version = '';
  #renewing: Promise<void> = Promise.resolve();
  #renewed = 0;

  private constructor(
    readonly store: Store,
    readonly record: Omit<WorkerRecord, 'write' | 'progress'>,
  ) {}

  /** @throws EngineError if the store cannot be written. */
  static async begin(store: Store, adapter: string, lease = usualLease): Promise<Session> {
    const began = new Date().toISOString();
    const session = new Session(store, { host: hostname(), owner: owner(), adapter, began, lease });
    session.#version = (await store.create(keyOf(session.id), session.#bytes())) ?? '';
    session.#renewed = performance.now();
    session.#renewing = session.#renew();
    return session;
  }

  /** Aborted when others may have taken what this worker had. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  tell(progress: WorkerRecord['progress']): void {
    this.#progress = progress;
  }

  /** Ends it: what it still has is free. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#renewing;
    await this.store.remove(keyOf(this.id)).catch(() => {});
  }

  #bytes(): Uint8Array {
    return bytesOf({ ...this.record, progress: this.#progress, write: unique() });
  }

  async #renew(): Promise<void> {
    const { lease } = this.record;
    for (;;) {
      await pause(lease / 4, undefined, { signal: this.#ending.signal }).catch(() => {});
      if (this.#ending.signal.aborted) return;
      try {
        const version = await this.store.replace(keyOf(this.id), this.#bytes(), this.#version);
        if (version === undefined) {
          this.#lost.abort();
          return;
        }
        this.#version = version;
        this.#renewed = performance.now();
      } catch {
        // The store may be back before the lease has run out; what is written is conditional in any case.
        if (performance.now() - this.#renewed > lease) {
          this.#lost.abort();
          return;
        }
      }
    }
  }
}

/** Tells which workers are dead, by what it has seen of them. */
export class Deaths {
  /** The version of a worker's record, when that was first seen, and when it was last looked at. */
  readonly #seen = new Map<string, { version: string; at: number; looked: number; lease: number }>();

  /** @param seldom whether it looks at a worker's record no more than sixteen times in its lease: to who waits, a little later is soon enough. */
  constructor(
    readonly store: Store,
    readonly seldom = false,
  ) {}

  /** Whether a worker is dead. Its record is removed then, so that it knows if it comes back. */
  async isDead(worker: string): Promise<boolean> {
    const seen = this.#seen.get(worker);
    if (this.seldom && seen && performance.now() - seen.looked < seen.lease / 16) return false;
    // Before it is read: this process may sleep after that, and then it knows nothing of that time.
    const asked = performance.now();
    const found = await this.store.read(keyOf(worker));
    if (!found) return true;
    const { owner, lease } = jsonOf(found.bytes, keyOf(worker), this.store) as WorkerRecord;
    const isSame = seen?.version === found.version;
    const at = isSame ? seen.at : performance.now();
    this.#seen.set(worker, { version: found.version, at, looked: asked, lease });
    const silent = isSame && asked - at > lease;
    if (!silent && !isDead(owner)) return false;
    await this.store.remove(keyOf(worker));
    this.#seen.delete(worker);
    return true;
  }
}

/** The workers that have a record. */
export async function workersIn(store: Store): Promise<Map<string, WorkerRecord>> {
  const workers = new Map<string, WorkerRecord>();
  for await (const key of store.list(prefix)) {
    const found = await store.read(key);
    const id = key.slice(prefix.length).replace(/\.json$/, '');
    if (found) workers.set(id, jsonOf(found.bytes, key, store) as WorkerRecord);
  }
  return workers;
}
