import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Queue as BullQueue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { EngineError } from '../../gpu/errors.js';
import { ConfigError } from '../../sae/errors.js';
import { optional } from '../data/optional.js';
import { BullJob } from './bullmq-job.js';
import { type Address, checkServer, firstAnswer, parseAddress } from './connect.js';
import type { Job, Queue, QueueOptions, QueueState, TakenJob } from './types.js';

/** Of BullMQ, beside which other programs may have theirs on the same server. */
const queueName = 'sae';
/** Milliseconds. */
const usualLock = 60_000;
const longest = 10_000;
/** Of what is done and what failed for good, in seconds. */
const kept = 30 * 24 * 3600;
/** How often a job that fails is tried in all. */
const tries = 3;

/** @throws as `openQueue` does. */
export async function openBullQueue(url: string, { onNote, lock = usualLock }: QueueOptions): Promise<Queue> {
  const address = parseAddress(url);
  const what = { what: `${address.name} is a queue of BullMQ`, install: 'bullmq@6 ioredis@5' };
  const { Redis } = await optional(() => import('ioredis'), what);
  const bull = await optional(() => import('bullmq'), what);
  const patience = Math.min(longest, lock / 3);
  let opened = false;
  const client = new Redis({
    ...address.options,
    lazyConnect: true,
    connectTimeout: longest,
    // Both: the first rejects a command, the second makes a new connection. A socket that is silently dead gives no error by itself.
    commandTimeout: patience,
    socketTimeout: patience,
    keepAlive: longest,
    // Both: a command that was kept back would be carried out when nobody waits for it any more, and a job be taken for no one.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => (opened ? Math.min(50 * 2 ** times, patience) : null),
  });
  // An event of this name that nobody hears ends the process. What matters rejects a command as well.
  client.on('error', () => {});
  const note = onNote ?? (() => {});
  try {
    checkServer(address.name, await firstAnswer(client, address, longest), note);
    opened = true;
    const shared = { connection: client, prefix: address.prefix };
    const probe = new bull.Queue(queueName, { ...shared, skipMetasUpdate: true });
    probe.on('error', () => {});
    await checkVersion(probe, address, client);
    const queue = new bull.Queue(queueName, shared);
    const worker = new bull.Worker(
      queueName,
      null,
      {
        ...shared,
        lockDuration: lock,
        stalledInterval: lock / 4,
        // How often a job may be begun is the store's to say; BullMQ would write down that it failed.
        maxStalledCount: 1e6,
        autorun: false,
      },
      // Without the second connection that waits for jobs: they are asked for.
      (name, options) => bull.createRedisBackend(name, options),
    );
    queue.on('error', () => {});
    worker.on('error', () => {});
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    return new BullMQ(address.name, client, queue, worker, { lock, note });
  } catch (error) {
    client.disconnect();
    if (error instanceof EngineError) throw error;
    throw new EngineError(
      `The queue ${address.name} could not be opened: ${(error as Error).message}. Try it again.`,
      { cause: error },
    );
  }
}

/** @throws ConfigError if another BullMQ has made the queue, whose jobs this one may not understand. */
async function checkVersion(probe: BullQueue, { name, prefix }: Address, client: Redis): Promise<void> {
  const [, own] = probe.metaValues.version.toString().split(':');
  // Of the hash that BullMQ keeps for each queue.
  const theirs = (await client.hget(`${prefix}:${queueName}:meta`, 'version'))?.split(':')[1];
  await probe.close();
  if (theirs === undefined || theirs.split('.')[0] === own.split('.')[0]) return;
  throw new ConfigError(
    `The queue ${name} was made with BullMQ ${theirs}, and this is BullMQ ${own}. Install the same one on all machines, or name another prefix for it: ?prefix=...`,
  );
}

class BullMQ implements Queue {
  readonly #closing = new AbortController();
  #checks: NodeJS.Timeout | undefined;
  #lastNote = '';

  constructor(
    readonly name: string,
    private readonly client: Redis,
    private readonly queue: BullQueue,
    private readonly worker: Worker,
    private readonly options: { readonly lock: number; readonly note: (sentence: string) => void },
  ) {}

  async add(jobs: readonly Job[], { priority = 0 } = {}): Promise<void> {
    for (const { id } of jobs) {
      // BullMQ's own rules: it gives numbers to jobs itself, and joins parts of keys by colons.
      if (/^\d*$|:/.test(id)) {
        throw new ConfigError(
          `${JSON.stringify(id)} cannot be the id of a job: it has to have something that is not a digit, and no colon.`,
        );
      }
    }
    const opts = {
      priority,
      attempts: tries,
      backoff: { type: 'exponential', delay: this.options.lock / 6 },
      removeOnComplete: { age: kept },
      removeOnFail: { age: kept },
    };
    const bulk = jobs.map(({ id, data }) => ({ name: 'trials', data, opts: { ...opts, jobId: id } }));
    await this.#ask(() => this.queue.addBulk(bulk));
    const ids = new Set(jobs.map(({ id }) => id));
    const failed = await this.#ask(() => this.queue.getFailed());
    for (const job of failed.filter((job) => job && ids.has(job.id ?? ''))) {
      // Somebody else may have done it just now.
      await this.#ask(() => job.retry('failed', { resetAttemptsMade: true }), /not in|Missing key/);
    }
  }

  async forget(ids: readonly string[]): Promise<void> {
    // One that a worker has is locked.
    for (const id of ids) await this.#ask(() => this.queue.remove(id), /locked/);
  }

  async take(signal: AbortSignal): Promise<TakenJob | undefined> {
    this.#checks ??= this.#beginChecks();
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    while (!ended.aborted) {
      const token = randomUUID();
      const asked = performance.now();
      const job = await this.worker.getNextJob(token, { block: false }).catch((error) => {
        this.#noteOnce(`The queue ${this.name} gives no jobs: ${reasonOf(error)}. It is asked again.`);
      });
      if (job) {
        const { lock, note } = this.options;
        const taken = new BullJob(job, { token, lock, asked, note, queue: this.name });
        if (!ended.aborted) return taken;
        await taken.giveBack();
        break;
      }
      // Not all workers at once.
      const milliseconds = Math.min(1000, this.options.lock / 6) * (0.75 + Math.random() / 2);
      await pause(milliseconds, undefined, { signal: ended }).catch(() => {});
    }
    return undefined;
  }

  async state(): Promise<QueueState> {
    const counts = await this.#ask(() =>
      this.queue.getJobCounts('waiting', 'prioritized', 'delayed', 'active', 'completed', 'failed'),
    );
    const paused = await this.#ask(() => this.queue.isPaused());
    return {
      waiting: counts.waiting + counts.prioritized + counts.delayed,
      active: counts.active,
      done: counts.completed,
      failed: counts.failed,
      paused,
    };
  }

  async pause(): Promise<void> {
    await this.#ask(() => this.queue.pause());
  }

  async resume(): Promise<void> {
    await this.#ask(() => this.queue.resume());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#checks);
    // With a connection that is not theirs, they do not wait for a server that may be gone.
    await Promise.allSettled([this.worker.close(true), this.queue.close()]);
    this.client.disconnect();
  }

  /** Hands out again what workers had that are gone. One of all workers does so at a time. */
  #beginChecks(): NodeJS.Timeout {
    // By which boards know workers. The server forgets it with the connection.
    const name = this.worker.getBackend().clientName(`:w:${hostname()}-${process.pid}`);
    this.client.options.connectionName = name;
    this.client.client('SETNAME', name).catch(() => {});
    // Each begins BullMQ's own repetition anew, which ends at the first error.
    const check = () => void this.worker.startStalledCheckTimer().catch(() => {});
    check();
    return setInterval(check, this.options.lock / 4).unref();
  }

  /**
   * What may be asked twice is asked until the server answers, for as long as a lock lasts.
   * @param done what the server answers where somebody has done it already
   */
  async #ask<T>(work: () => Promise<T>, done?: RegExp): Promise<T> {
    const end = performance.now() + this.options.lock;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const { message } = error as Error;
        if (done?.test(message)) return undefined as T;
        if (this.#closing.signal.aborted) throw new EngineError(`The queue ${this.name} is closed.`);
        if (message.includes('OOM')) {
          throw new EngineError(
            `The memory of the queue ${this.name} is full. Raise its server's maxmemory, or take away old jobs.`,
            { cause: error },
          );
        }
        if (isAnswer(error) || performance.now() > end) {
          throw new EngineError(
            `The queue ${this.name} ${isAnswer(error) ? 'refuses' : 'does not answer'}: ${reasonOf(error)}. What was asked of it may have been done. It can be asked again.`,
            { cause: error },
          );
        }
        await pause(Math.min(1000, this.options.lock / 6));
      }
    }
  }

  #noteOnce(sentence: string): void {
    if (this.#lastNote !== sentence && !this.#closing.signal.aborted) this.options.note(sentence);
    this.#lastNote = sentence;
  }
}

/** Why the server did not do something. */
function reasonOf(error: unknown): string {
  const { message } = error as Error;
  return /enableOfflineQueue|MaxRetries|maxRetries|Connection is closed/.test(message)
    ? 'there is no connection'
    : message;
}

/** Whether the server has said no, and will say so again. */
function isAnswer(error: unknown): boolean {
  const { name, message } = error as Error;
  return name === 'ReplyError' && !/^(LOADING|BUSY|TRYAGAIN|MASTERDOWN|READONLY)/.test(message);
}
