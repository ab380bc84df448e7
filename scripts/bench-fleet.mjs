// npm run bench:fleet: how a fleet scales. Workers in one process take, save and finish trials by the real code of the store, a folder in
// memory, and of the queue, a Redis of its own; only their training is simulated, by a pause. Half-way, a tenth of the workers die.
import { setMaxListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { removeOthers, take } from '../dist/node/fleet/claims.js';
import { markEnded, StoreGroups } from '../dist/node/fleet/groups.js';
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
    folder: { type: 'string' },
  },
});
const [workers, size] = [Number(values.workers), Number(values.group)];
/** Milliseconds of a trial, on average. */
const training = Number(values.training);
const lease = 1000 * Number(values.lease);
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

/** Does with a group what a worker does, but for the training. */
async function train(store, group, worker, deaths, isAlive) {
  let finished = 0;
  let busy = false;
  for (const trial of group.trials) {
    const claim = await take(store, trial, worker, deaths);
    busy ||= claim === 'busy';
    if (typeof claim === 'string') continue;
    await readTrial(store, trial);
    await pause(2 * training * Math.random());
    if (!isAlive()) return { finished, busy };
    await claim.write({ state: 'running', steps: 1, snapshot: claim.key('1.safetensors') });
    const { snapshot: _, ...without } = claim.state;
    if (await claim.replace({ ...without, state: 'done' })) {
      finished += 1;
      await removeOthers(store, trial);
    }
  }
  return { finished, busy };
}

async function run(trials, byQueue) {
  const folder = mkdtempSync(join(values.folder ?? tmpdir(), 'sae-fleet-'));
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
    { command: [], rows, loading: {}, save_every: '10min', groups },
    new Map(names.map((name) => [name, trial])),
  );
  if (queue) {
    await queue.add(groups.map((_, group) => ({ id: `${sweep.id}-${group}`, data: { group } })));
  }
  const planned = (performance.now() - began) / 1000;
  const before = { ...counts };
  const commandsBefore = server && (await commandsOf(server));

  const finished = new Map();
  const waits = [];
  let done = 0;
  let died;
  let recovered;
  const lost = new Set();
  const dead = new Set();
  const atWork = new Set();
  const ending = new AbortController();
  setMaxListeners(0, ending.signal);
  const deaths = new Deaths(store);
  const worker = async (_, number) => {
    const source = queue ? undefined : new StoreGroups(store, sweep, new Deaths(store, true));
    const isAlive = () => !dead.has(number);
    while (isAlive()) {
      const asked = performance.now();
      const job = queue && (await queue.take(ending.signal));
      const group = queue
        ? job && { sweep, index: job.data.group, trials: groups[job.data.group] }
        : await source.take(ending.signal);
      if (!group) return;
      waits.push(performance.now() - asked);
      atWork.add(number);
      const session = await Session.begin(mortal(store, isAlive), 'simulated', lease);
      const { finished: own, busy } = await train(store, group, session.id, deaths, isAlive);
      finished.set(group.index, (finished.get(group.index) ?? 0) + own);
      done += own;
      if (!isAlive()) {
        // Its record stays, which nobody renews any more, and so does what it has of the queue.
        lost.add(group.index);
        await session.end();
        return;
      }
      await session.end();
      if (busy) {
        await pause(lease / 8);
        source?.returned(group);
        await job?.giveBack();
        continue;
      }
      await markEnded(store, sweep.id, group.index);
      // The last one of those that the dead had counts.
      if (lost.delete(group.index) && died !== undefined) recovered = performance.now() - died;
      source?.returned(group);
      await job?.done();
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
  const all = [...finished.values()].reduce((sum, one) => sum + one, 0);
  if (all !== trials) throw new Error(`${all} of ${trials} trials were finished`);
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
