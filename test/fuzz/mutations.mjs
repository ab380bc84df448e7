import { Worker } from 'node:worker_threads';
import { mutated } from './mutate.mjs';
import { seedsOf, targetOf } from './seeds.mjs';

/** Seconds after which a reader hangs. Of HDF5's library one is ended after half a minute. */
const patience = 60;
/** MiB of JavaScript's own memory: what readers allocate in arrays of bytes is counted in another way. */
const heap = 512;

/**
 * Gives mutated inputs to readers, the same ones for a seed.
 * @param names of targets. @param limits `inputs` of each, at most, and `until` when, in milliseconds of the clock.
 * @returns of each target how many inputs it took, and the fault and its input, if there was one.
 */
export async function fuzzByMutation(
  names,
  seed,
  { inputs = Number.POSITIVE_INFINITY, until = Number.POSITIVE_INFINITY },
) {
  const counts = new Map();
  const faults = [];
  let left = names;
  while (left.length > 0) {
    const progress = new SharedArrayBuffer(12);
    const now = new Int32Array(progress);
    const worker = new Worker(new URL('worker.mjs', import.meta.url), {
      workerData: { names: left, seed, inputs, until, progress },
      resourceLimits: { maxOldGenerationSizeMb: heap },
    });
    const ended = await new Promise((resolve) => {
      let before = -1;
      const watch = setInterval(() => {
        if (now[2] === before) end(new Error(`It did not come back within ${patience} seconds.`));
        before = now[2];
      }, 1000 * patience);
      const end = (error) => {
        clearInterval(watch);
        worker.terminate();
        resolve(error);
      };
      worker.on('message', ({ name, number, error, input }) => {
        if (error) faults.push({ name, number, error, input: Buffer.from(input) });
        else counts.set(name, number);
      });
      worker.on('error', end);
      worker.on('exit', () => end(undefined));
    });
    if (!ended) break;
    const [name, number] = [left[now[0]], now[1]];
    const { longest = 4096 } = await targetOf(name);
    faults.push({ name, number, error: ended, input: mutated(await seedsOf(name), seed, number, longest) });
    counts.set(name, number + 1);
    left = left.slice(now[0] + 1);
  }
  return { counts, faults };
}
