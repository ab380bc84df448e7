import { readFileSync } from 'node:fs';
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

beforeAll(async () => {
  const cwd = folder.make();
  // Written, and not begun.
  const args = ['--data', rows, '--h-dims', '[8]', '--batch-size', '4', '--epochs', '20', '--sparsity'];
  const groups = ['topk', '--k', '1,2,3,4', '--side-by-side', '1'];
  await succeeds(['sweep', ...args, ...groups, '--store', 'store', '--slurm', 'script'], { cwd });
  store = await openStore(join(cwd, 'store'));
  [sweep] = await sweepsIn(store);
  const none = () => {};
  slot = new Slot(store, 'llvmpipe', 2000, { progress: () => told(), line: none, warn: none });
}, 60_000);
afterAll(() => slot.close());

const train = (group: number) => {
  const opening = { adapter: 'llvmpipe' };
  const job = { store: store.name, sweep: sweep.id, trials: sweep.groups[group], opening, rows: {} };
  return slot.train(job, never);
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

it.skipIf(process.platform !== 'linux')('begins its process again, if that is killed meanwhile', async () => {
  expect(await train(1)).toEqual({ busy: 0, open: 0 });
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ');
  const [child] = children.filter((pid) => {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('group-process');
  });
  process.kill(Number(child), 'SIGKILL');
  await pause(100);
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
