import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { mapOf } from '../../sae/insight/report/map.js';

type MapOf = typeof mapOf;

/** `mapOf` in threads, as many as there are cores: it takes as long as all else of a report, which goes on meanwhile. */
export function mapThreads(count = availableParallelism()): MapOf {
  const lanes: Promise<unknown>[] = new Array(count).fill(Promise.resolve());
  let next = 0;
  return (neighbours, options) => {
    const lane = next++ % count;
    const map = lanes[lane].then(() => inThread(neighbours, options));
    lanes[lane] = map.catch(() => {});
    return map;
  };
}

const inThread: MapOf = (neighbours, { seed, signal }) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const worker = new Worker(new URL('./map-worker.js', import.meta.url), {
      workerData: { neighbours, seed },
    });
    const stop = () => {
      reject(signal?.reason);
      void worker.terminate();
    };
    signal?.addEventListener('abort', stop);
    worker.on('message', resolve);
    worker.on('error', reject);
    worker.on('exit', (status) => {
      signal?.removeEventListener('abort', stop);
      reject(new Error(`A thread ended with status ${status}.`));
    });
  });
