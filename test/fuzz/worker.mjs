// Gives mutated inputs to readers, in a thread that is ended where a reader does not come back.
import { parentPort, workerData } from 'node:worker_threads';
import { check } from './check.mjs';
import { mutated } from './mutate.mjs';
import { seedsOf, targetOf } from './seeds.mjs';

const { names, seed, inputs, until, progress } = workerData;
const now = new Int32Array(progress);

for (const [place, name] of names.entries()) {
  const target = await targetOf(name);
  const seeds = await seedsOf(name);
  const { longest = 4096 } = target;
  let number = 0;
  for (; number < inputs && Date.now() < until; number++) {
    now[0] = place;
    now[1] = number;
    now[2]++;
    const input = mutated(seeds, seed, number, longest);
    try {
      await check(target, input);
    } catch (error) {
      parentPort.postMessage({ name, number, error, input });
      break;
    }
  }
  parentPort.postMessage({ name, number });
}
