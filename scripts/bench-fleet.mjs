// npm run bench:fleet: how a fleet scales. Workers in one process take groups, save and finish trials, tell what they came to and mark what
// has ended by the real code of `sae worker`, of the store, a folder in memory, and of the queue, a Redis of its own; only their training is
// simulated, by a pause, and so are the files of a model. Half-way, a tenth of the workers die.
import { setMaxListeners } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { outcomesOf } from '../dist/cli/fleet/outcomes.js';
import { groupsInQueue, groupsInStore } from '../dist/cli/fleet/work.js';
import { removeOthers, take } from '../dist/node/fleet/claims.js';
import { readTrial, writeSweep } from '../dist/node/fleet/records.js';
import { Deaths, Session } from '../dist/node/fleet/sessions.js';
import { openQueue } from '../dist/node/queue/queue.js';
import { openStore } from '../dist/node/store/store.js';
import { makeServer, start } from './fleet/redis.mjs';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1000' },
    trials: { type: 'string', default: '1000,10000,100000' },
    by: { type: 'string', default: 'store,queue' },
    group: { type: 'string', default: '8' },
    lease: { type: 'string', default: '10' },
    training: { type: 'string', default: '20' },
    // In memory: what a disk takes is not what is measured.
    folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
  },
});
const [workers, size] = [Number(values.workers), Number(values.group)];
/** Milliseconds of a trial, on average. */
const training = Number(values.training);
const lease = 1000 * Number(values.lease);
process.env.SAE_LEASE = values.lease;
setMaxListeners(0);
const { env, stop } = await start();
Object.assign(process.env, env);

/** @param {import('../dist/node/store/store.js').Store} store which then counts what it is asked. */
function counted(store) {
  /** @type {Record<string, number>} */
  const counts = {};
  const proxy = new Proxy(store, {
    get(target, name) {
      const own = Reflect.get(target, name);
      if (typeof own !== 'function') return own;
      return (/** @type {unknown[]} */ ...args) => {
        counts[String(name)] = (counts[String(name)] ?? 0) + 1;
        return own.apply(target, args);
      };
    },
  });
  return { store: proxy, counts };
}

/** Does with a group what the process of an adapter does, but for the training. @returns how it ended, as that tells it. */
async function train(store, group, worker, deaths, isAlive) {
  let finished = 0;
  let busy = 0;
  for (const trial of group.trials) {
    await readTrial(store, trial);
    const claim = await take(store, trial, worker, deaths);
    if (claim === 'busy') busy += 1;
    if (typeof claim === 'string') continue;
    await pause(2 * training * Math.random());
    if (!isAlive()) return { finished, busy, open: 1 };
    await claim.write({ state: 'running', steps: 1, snapshot: claim.key('1.safetensors') });
    const { snapshot: _, ...without } = claim.state;
    if (await claim.replace({ ...without, state: 'done' })) {
      finished += 1;
      await removeOthers(store, trial);
    }
  }
  return { finished, busy, open: 0 };
}

async function run(trials, byQueue) {
  const folder = mkdtempSync(join(values.folder, 'sae-fleet-'));
  const { store, counts } = counted(await openStore(folder));
  const server = byQueue ? await makeServer('redis-server') : undefined;
  const queue = server && (await openQueue(server.url, { lock: lease, onNote: () => {} }));
  const names = Array.from({ length: trials }, (_, i) => `t${i.toString(16).padStart(15, '0')}`);
  const groups = Array.from({ length: Math.ceil(trials / size) }, (_, i) =>
    names.slice(i * size, (i + 1) * size),
  );
  const rows = { name: 'rows', rows: 1, in_dims: 1, fingerprint: 'none' };
  const trial = { engine: 'none', rows, measured: {}, model: { h_dims: [1024] }, training: { lr: 1e-3 } };
  const began = performance.now();
  const sweep = await writeSweep(
    store,
    { command: [], rows, loading: {}, save_every: '10min', differing: [], groups },
    new Map(names.map((name) => [name, trial])),
  );
  if (queue) {
    const jobs = groups.map((_, group) => ({
      id: `${sweep.id}-${group}`,
      data: { store: folder, sweep: sweep.id, group },
    }));
    await queue.add(jobs);
  }
  const planned = (performance.now() - began) / 1000;
  const before = { ...counts };
  const commandsBefore = server && (await commandsOf(server));

  const waits = [];
  let done = 0;
  let died;
  let recovered;
  const lost = new Set();
  const dead = new Set();
  const atWork = new Set();
  const ending = new AbortController();
  setMaxListeners(0, ending.signal);
  // Each worker of a queue reads the sweep once. In one process, a thousand copies of it have no room.
  const holders = new Map();
  const shared = queue && groupsInQueue(mortalQueue(queue, holders), async () => store);
  const worker = async (_, number) => {
    const isAlive = () => !dead.has(number);
    const source = shared ?? groupsInStore(store, sweep);
    const deaths = new Deaths(store);
    while (isAlive()) {
      const asked = performance.now();
      const taken = await source.take(ending.signal);
      if (!taken) return;
      waits.push(performance.now() - asked);
      atWork.add(number);
      const { group } = taken;
      holders.set(group.index, isAlive);
      const session = await Session.begin(mortal(store, isAlive), 'simulated', lease);
      const { finished, ...how } = await train(store, group, session.id, deaths, isAlive);
      done += finished;
      // Of a dead one, its record stays, which nobody renews any more, and so does what it has of the queue.
      await session.end();
      if (!isAlive()) {
        lost.add(group.index);
        await forgotten(taken);
        return;
      }
      await taken.ended(how);
      await outcomesOf(store, sweep, group.trials);
      // The last one of those that the dead had counts.
      if (how.busy === 0 && lost.delete(group.index)) recovered = performance.now() - died;
      atWork.delete(number);
      if (died === undefined && done >= trials / 2) {
        for (const one of [...atWork].slice(-workers / 10)) dead.add(one);
        died = performance.now();
      }
      if (done >= trials) ending.abort();
    }
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: workers }, worker));
  const seconds = (performance.now() - from) / 1000;
  if (done !== trials) throw new Error(`${done} of ${trials} trials were finished`);
  const commands = server && (await commandsOf(server)) - commandsBefore;
  await queue?.close();
  await server?.remove();
  rmSync(folder, { recursive: true, force: true });
  const asked = Object.entries(counts).map(([name, count]) => [name, count - (before[name] ?? 0)]);
  const requests = asked.reduce((sum, [, count]) => sum + count, 0);
  waits.sort((a, b) => a - b);
  return {
    trials,
    by: byQueue ? 'queue' : 'store',
    'plan, s': planned.toFixed(1),
    'run, s': seconds.toFixed(1),
    'trials/s': (trials / seconds).toFixed(0),
    'store requests a trial': (requests / trials).toFixed(1),
    'of these lists': (Object.fromEntries(asked).list / trials).toFixed(2),
    'Redis commands a trial': commands === undefined ? '' : (commands / trials).toFixed(1),
    'hand out, ms (median, 99th)': `${at(waits, 0.5)}, ${at(waits, 0.99)}`,
    'recovered, s': recovered === undefined ? '-' : (recovered / 1000).toFixed(1),
  };
}

/** A store from which a dead worker removes nothing. */
function mortal(store, isAlive) {
  const remove = async (key) => {
    if (isAlive()) await store.remove(key);
  };
  return new Proxy(store, {
    get: (target, name) => (name === 'remove' ? remove : Reflect.get(target, name)),
  });
}

/** A queue of which a dead worker keeps nothing. @param holders says of each group whether who has it is alive. */
function mortalQueue(queue, holders) {
  const mortalJob = (job) => {
    holders.delete(job.data.group);
    const renew = async () => (holders.get(job.data.group)?.() ?? true) && (await job.renew());
    return new Proxy(job, {
      get: (target, name) => (name === 'renew' ? renew : bound(target, name)),
    });
  };
  const take = async (signal) => {
    const job = await queue.take(signal);
    return job && mortalJob(job);
  };
  return new Proxy(queue, { get: (target, name) => (name === 'take' ? take : bound(target, name)) });
}

function bound(target, name) {
  const own = Reflect.get(target, name);
  return typeof own === 'function' ? own.bind(target) : own;
}

/** Ends what this process still does about a dead worker's group. */
async function forgotten({ lost, ended }) {
  if (!lost) return;
  if (!lost.aborted) await new Promise((resolve) => lost.addEventListener('abort', resolve));
  await ended({ busy: 0, open: 1 });
}

async function commandsOf(server) {
  const { default: Redis } = await import('ioredis');
  const client = new Redis(server.url);
  const info = await client.info('stats');
  await client.quit();
  return Number(/total_commands_processed:(\d+)/.exec(info)[1]);
}

const at = (sorted, share) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(0);

try {
  const results = [];
  for (const trials of values.trials.split(',').map(Number)) {
    for (const by of values.by.split(',')) {
      results.push(await run(trials, by === 'queue'));
      console.log(results.at(-1));
    }
  }
  console.table(results);
} finally {
  await stop();
}
