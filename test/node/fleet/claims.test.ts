import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { type Claim, take } from '../../../src/node/fleet/claims.js';
import { readState, stateKey } from '../../../src/node/fleet/records.js';
import { Deaths } from '../../../src/node/fleet/sessions.js';
import { openStore, type Store } from '../../../src/node/store/store.js';

const folder = mkdtempSync(join(tmpdir(), 'sae-claims-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Whether the answer to the next write of a state is lost. */
let isLost = false;
let store: Store;
let trial: string;
let trials = 0;

/** A store some of whose methods are others. */
function changed(real: Store, others: Partial<Store>): Store {
  return new Proxy(real, {
    get(_, name: keyof Store) {
      if (name in others) return others[name];
      const own = real[name];
      return typeof own === 'function' ? own.bind(real) : own;
    },
  });
}

beforeEach(async () => {
  isLost = false;
  trial = `t${trials++}`;
  const real = await openStore(folder);
  store = changed(real, {
    async replace(key, bytes, version) {
      const done = await real.replace(key, bytes, version);
      if (!isLost) return done;
      isLost = false;
      throw new Error('The answer was lost.');
    },
  });
});

const claimOf = async (worker: string) => (await take(store, trial, worker, new Deaths(store))) as Claim;
const stateOf = async () => (await readState(store, trial))?.state;
const file = async (key: string) => store.putFile(key, import.meta.filename);
const files = () => readdirSync(join(folder, 'trials', trial)).filter((name) => !name.startsWith('state'));

it('a claim goes on from a write of its own whose answer was lost', async () => {
  const claim = await claimOf('w1');
  isLost = true;
  await expect(claim.write({ steps: 1 })).rejects.toThrow('lost');
  expect(await claim.write({ steps: 2 })).toBe(true);
  expect([claim.lost, (await stateOf())?.steps]).toEqual([false, 2]);
});

it('what is final stays so, where the answer to it was lost', async () => {
  const claim = await claimOf('w1');
  isLost = true;
  await expect(claim.write({ state: 'done' })).rejects.toThrow('lost');
  expect(await claim.write({ state: 'open' })).toBe(false);
  expect((await stateOf())?.state).toBe('done');
});

it('a worker whose trial another one has by now writes nothing, and takes its files away', async () => {
  const claim = await claimOf('w1');
  const other = await claimOf('w2');
  const snapshot = claim.key('7.safetensors');
  await file(snapshot);
  expect(await claim.write({ snapshot })).toBe(false);
  await claim.discard([snapshot]);
  expect([claim.lost, files(), await stateOf()]).toEqual([true, [], other.state]);
});

it('but not the file that the other one goes on from, where only the answer was lost', async () => {
  const claim = await claimOf('w1');
  const snapshot = claim.key('7.safetensors');
  await file(snapshot);
  isLost = true;
  await expect(claim.write({ snapshot, steps: 7 })).rejects.toThrow('lost');
  const other = await claimOf('w2');
  expect(other.state).toMatchObject({ snapshot, steps: 7, claims: 2, attempts: 2 });
  expect(await claim.write({ snapshot, steps: 7 })).toBe(false);
  await claim.discard([snapshot]);
  expect(files()).toEqual([snapshot.split('/').at(-1)]);
});

it('a store that seems to refuse its own version again and again ends the claim', async () => {
  const claim = await claimOf('w1');
  const stubborn = changed(store, { replace: async () => undefined });
  Object.assign(claim, { store: stubborn });
  expect(await claim.write({ steps: 1 })).toBe(false);
  expect((await store.read(stateKey(trial)))?.version).toBe('1');
});

it('one that read a record before it slept does not take its worker for dead', async () => {
  const record = { owner: 'ffffffff-1', lease: 100 };
  const bytes = (write: number) => new TextEncoder().encode(JSON.stringify({ ...record, write }));
  const version = (await store.create('workers/w9.json', bytes(1)))!;
  let sleep = 0;
  const slow = changed(store, {
    async read(key) {
      const found = await store.read(key);
      await new Promise((resolve) => setTimeout(resolve, sleep));
      return found;
    },
  });
  const deaths = new Deaths(slow);
  expect(await deaths.isDead('w9')).toBe(false);
  sleep = 300;
  expect(await deaths.isDead('w9')).toBe(false);
  expect(await store.replace('workers/w9.json', bytes(2), version)).toBeDefined();
  expect(await deaths.isDead('w9')).toBe(false);
  // Now it has been silent for long enough.
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(await deaths.isDead('w9')).toBe(true);
});
