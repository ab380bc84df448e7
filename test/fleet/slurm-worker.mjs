// Stands in for `sae worker` in slurm.test.ts: "trains" a group as long as the folder's plan.json says, goes on where it was, and writes down
// what happens to it. Ends with status 75 when it is told to make room.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { store: { type: 'string' }, sweep: { type: 'string' }, group: { type: 'string' } },
  allowPositionals: true,
});
const { store = '', sweep, group = '' } = values;
const plan = JSON.parse(readFileSync(join(store, 'plan.json'), 'utf8'));
const snapshot = join(store, `snapshot-${group}`);
const { SLURM_RESTART_COUNT, SLURMD_NODENAME, CUDA_VISIBLE_DEVICES } = process.env;
const restarts = Number(SLURM_RESTART_COUNT ?? 0);
const say = (/** @type {string} */ event, /** @type {object} */ more = {}) => {
  const line = { event, group, sweep, restarts, pid: process.pid, node: SLURMD_NODENAME, ...more };
  appendFileSync(join(store, 'log'), `${JSON.stringify(line)}\n`);
};

let steps = existsSync(snapshot) ? Number(readFileSync(snapshot, 'utf8')) : 0;
say('begin', { steps, gpus: CUDA_VISIBLE_DEVICES, at: Date.now() });
const save = () => writeFileSync(snapshot, `${steps}`);
process.on('SIGUSR2', () => {
  say('SIGUSR2', { steps });
  save();
  process.exit(75);
});
process.on('SIGTERM', () => {
  say('SIGTERM', { steps });
  save();
  process.exit(143);
});
setInterval(() => {
  steps++;
  save();
  // As before a time limit, but sooner.
  if (restarts < plan.yields) process.exit(75);
  if (steps < plan.steps) return;
  say('done', { steps, at: Date.now() });
  process.exit(0);
}, 100);
