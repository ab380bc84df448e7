import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Slot } from '../../dist/cli/fleet/slot.js';
import { type Sweep, sweepsIn } from '../../dist/node/fleet/records.js';
import { workersIn } from '../../dist/node/fleet/sessions.js';
import { openStore, type Store } from '../../dist/node/store/store.js';
import { bytes, npy, succeeds, temporaryFolder } from './sae.js';

// The process of an adapter over several groups, and what happens to it between them.

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([400, 16], bytes(6400)));
const never = new AbortController().signal;
let store: Store;
let sweep: Sweep;
let slot: Slot;
let told: () => void = () => {};

/** Writes a sweep that is not begun, into a store of its own. */
async function written(...options: readonly string[]): Promise<void> {
  const cwd = folder.make();
  const args = [
    '--data',
    rows,
    '--h-dims',
    '[8]',
    '--batch-size',
    '4',
    '--epochs',
    // So that a worker hears of its death before it is done.
    '24',
    '--sparsity',
    'topk',
  ];
  await succeeds(['sweep', ...args, ...options, '--store', 'store', '--slurm', 'script'], { cwd });
  store = await openStore(join(cwd, 'store'));
  [sweep] = await sweepsIn(store);
  const none = () => {};
  slot?.close();
  slot = new Slot(store, 'llvmpipe', 2000, { progress: () => told(), line: none, warn: none });
}

beforeAll(() => written('--k', '1,2,3,4', '--side-by-side', '1'), 60_000);
afterAll(() => slot.close());

const train = (group: number, signal = never, trials = sweep.groups[group]) => {
  const opening = { adapter: 'llvmpipe' };
  return slot.train({ store: store.name, sweep: sweep.id, trials, opening, rows: {} }, signal);
};

const stateOf = async (group: number) => {
  const read = await store.read(`trials/${sweep.groups[group][0]}/state.json`);
  return JSON.parse(new TextDecoder().decode(read?.bytes)).state;
};

it('trains on after a group that it had to stop, since it seemed dead to others', async () => {
  told = async () => {
    told = () => {};
    for (const worker of (await workersIn(store)).keys()) await store.remove(`workers/${worker}.json`);
  };
  expect(await train(0)).toEqual({ busy: 0, open: 1 });
  expect(await train(0)).toEqual({ busy: 0, open: 0 });
  expect(await stateOf(0)).toBe('done');
});

it.runIf(process.platform === 'linux')('begins its process again, if that is killed meanwhile', async () => {
  expect(await train(1)).toEqual({ busy: 0, open: 0 });
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ');
  const [child] = children.filter((pid) => {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('group-process');
  });
  process.kill(Number(child), 'SIGKILL');
  await expect.poll(() => existsSync(`/proc/${child}`)).toBe(false);
  await pause(10);
  expect(await train(2)).toEqual({ busy: 0, open: 0 });
  expect(await stateOf(2)).toBe('done');
});

it('takes what a silent worker of another machine had, after some looks at it', async () => {
  const [trial] = sweep.groups[3];
  const write = (key: string, value: object) => {
    return store.create(key, new TextEncoder().encode(JSON.stringify(value)));
  };
  await write('workers/w0.json', { owner: 'ffffffff-1', lease: 500, progress: {} });
  await write(`trials/${trial}/state.json`, {
    state: 'running',
    write: '0',
    worker: 'w0',
    claims: 1,
    attempts: 1,
    steps: 0,
  });
  expect(await train(3)).toEqual({ busy: 1, open: 0 });
  await pause(600);
  expect(await train(3)).toEqual({ busy: 0, open: 0 });
  expect([await stateOf(3), await store.read('workers/w0.json')]).toEqual(['done', undefined]);
});

it.runIf(process.platform === 'linux')(
  'trains one after another what has no room together, with the same bits, and says what has none alone',
  async () => {
    const trials = ['--k', '1,2,3,4', '--side-by-side', '4'];
    told = () => {};
    await written(...trials);
    expect(await train(0)).toEqual({ busy: 0, open: 0 });
    const expected = await outcome();
    expect(expected.map(({ state }) => state)).toEqual(new Array(4).fill('done'));
    const preload = new URL('little-memory.mjs', import.meta.url).href;
    const refusals = folder.write('refusals', '');
    const withRoom = async (bytes: number) => {
      writeFileSync(refusals, '');
      await written(...trials);
      const own = { NODE_OPTIONS: `--import ${preload}`, LITTLE_MEMORY: `${bytes}`, REFUSALS: refusals };
      Object.assign(process.env, own);
      try {
        expect(await train(0)).toEqual({ busy: 0, open: 0 });
      } finally {
        for (const name of Object.keys(own)) delete process.env[name];
      }
      return outcome();
    };
    // Two take 80 kB, and four 129.
    expect(await withRoom(90_000)).toEqual(expected);
    expect(readFileSync(refusals, 'utf8')).not.toBe('');
    const states = await withRoom(20_000);
    expect(states).toEqual(
      new Array(4).fill({ state: 'failed', steps: 0, failure: expect.any(String), may_pass: true }),
    );
    expect(states[0].failure).toMatch(/memory/);
  },
);

/** What a contest came to. */
async function outcome() {
  const read = await Promise.all(sweep.groups[0].map((trial) => store.read(`trials/${trial}/state.json`)));
  return read.map((one) => {
    if (!one) return {};
    const { state, steps, result, failure, may_pass } = JSON.parse(new TextDecoder().decode(one.bytes));
    return { state, steps, metrics: result?.metrics, failure, may_pass };
  });
}

it('decides who is hopeless among all, where some were saved at later steps, or others have some', async () => {
  const contest = [
    '--epochs',
    '8',
    '--k',
    '2',
    '--lr',
    '1e-4,1e-3,3e-3,1e-2',
    '--halving',
    '2',
    '--side-by-side',
    '4',
  ];
  told = () => {};
  await written(...contest, '--save-every', '40');
  expect(await train(0)).toEqual({ busy: 0, open: 0 });
  const undisturbed = await outcome();
  expect(undisturbed.map(({ state }) => state).sort()).toEqual(['done', 'ended', 'ended', 'ended']);
  await written(...contest, '--save-every', '40');
  // The worst one alone, up to a step before the first stage ends.
  const worst = undisturbed.findIndex(({ steps }) => steps === 100);
  const stop = new AbortController();
  told = () => stop.abort();
  await train(0, stop.signal, [sweep.groups[0][worst]]);
  const [saved] = [await outcome()].map((all) => all[worst]);
  expect(saved).toMatchObject({ state: 'open' });
  // Somebody else has another one, and is not known to be dead.
  const write = (key: string, value: object) => {
    return store.create(key, new TextEncoder().encode(JSON.stringify(value)));
  };
  const other = sweep.groups[0][(worst + 1) % 4];
  await write('workers/w0.json', { owner: 'ffffffff-1', lease: 60_000, progress: {} });
  const taken = { state: 'running', write: '0', worker: 'w0', claims: 1, attempts: 1, steps: 0 };
  await write(`trials/${other}/state.json`, taken);
  told = () => {};
  expect(await train(0)).toMatchObject({ busy: expect.any(Number), open: expect.any(Number) });
  expect((await outcome()).filter(({ state }) => ['done', 'ended'].includes(state))).toEqual([]);
  await store.remove('workers/w0.json');
  // The best one is taken away while they train.
  const best = sweep.groups[0][undisturbed.findIndex(({ state }) => state === 'done')];
  await write('workers/w1.json', { owner: 'ffffffff-1', lease: 60_000, progress: {} });
  told = async () => {
    told = () => {};
    const key = `trials/${best}/state.json`;
    for (let version: string | undefined; version === undefined; ) {
      const now = (await store.read(key))!;
      const { claims, ...state } = JSON.parse(new TextDecoder().decode(now.bytes));
      const bytes = { ...state, worker: 'w1', claims: claims + 1, write: '1' };
      version = await store.replace(key, new TextEncoder().encode(JSON.stringify(bytes)), now.version);
    }
  };
  expect(await train(0)).toMatchObject({ busy: expect.any(Number) });
  await store.remove('workers/w1.json');
  expect(await train(0)).toEqual({ busy: 0, open: 0 });
  expect(await outcome()).toEqual(undisturbed);
});
