// A worker of a process of its own, for queue.test.ts: takes jobs, keeps them as long as their data says, and prints what it sees, a line
// of JSON each. In the folder `held` lies a file for each job that somebody has: making it fails where two have one.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openQueue } from '../../dist/node/queue/queue.js';

const { url, lock, held } = JSON.parse(process.argv[2]);
const say = (/** @type {object} */ what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const queue = await openQueue(url, { lock, onNote: (note) => say({ note }) });
say({ ready: process.pid });
for (;;) {
  const job = await queue.take(stop.signal);
  if (!job) break;
  const { id, attempts } = job;
  say({ took: id, attempts });
  if (held) {
    try {
      writeFileSync(join(held, id), `${process.pid}`, { flag: 'wx' });
    } catch {
      say({ twice: id });
    }
  }
  const end = performance.now() + Number(job.data.milliseconds);
  let kept = true;
  while (kept && performance.now() < end) {
    await pause(Math.min(lock / 3, Math.max(end - performance.now(), 1)));
    kept = await job.renew();
    say({ renewed: id, kept });
  }
  if (held) rmSync(join(held, id), { force: true });
  // A worker would stop here; what this one says then has to have no effect.
  await job.done();
  say({ ended: id, kept });
}
await queue.close();
say({ closed: true });
