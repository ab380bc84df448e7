import { ConfigError } from '../../sae/errors.js';
import type { Queue, QueueOptions } from './types.js';

export type { Job, Queue, QueueOptions, QueueState, TakenJob } from './types.js';

/**
 * Opens the queue of a server.
 * @param url `redis://`, or `rediss://` for TLS, with `user:password@` and `/database` where they are needed, or `unix:///path` with
 * `?db=`; of Redis or Valkey. `?prefix=` is what the names of its keys begin with: BullMQ's `bull` if not given.
 * @throws ConfigError if the address, the credentials or the server's settings are wrong; EngineError if it cannot be reached;
 * DataError if the packages for it are not installed.
 */
export async function openQueue(url: string, options: QueueOptions = {}): Promise<Queue> {
  if (!/^(rediss?|unix):\/\//.test(url)) {
    const scheme = url.split('://', 1)[0];
    throw new ConfigError(
      `A queue is named by an address that begins with redis://, rediss:// or unix://, and this one begins with ${scheme.slice(0, 16)}. For example: redis://user:password@host:6379/0`,
    );
  }
  const { openBullQueue } = await import('./bullmq.js');
  return openBullQueue(url, options);
}
