import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { take } from '../../../src/node/fleet/claims.js';
import { endedGroups, StoreGroups } from '../../../src/node/fleet/groups.js';
import type { Sweep } from '../../../src/node/fleet/records.js';
import { Deaths } from '../../../src/node/fleet/sessions.js';
import { openStore, type Store } from '../../../src/node/store/store.js';

const folder = mkdtempSync(join(tmpdir(), 'sae-groups-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const never = new AbortController().signal;

/** A sweep of groups of two trials, and a store that counts what it is asked. */
async function sweepOf(id: string, groups: number) {
  const real = await openStore(join(folder, id));
  let requests = 0;
  const store = new Proxy(real, {
    get(_, name: keyof Store) {
      const own = real[name] as unknown;
      if (typeof own !== 'function') return own;
      return (...args: unknown[]) => {
        requests += 1;
        return own.apply(real, args);
      };
    },
  });
  const names = Array.from({ length: groups }, (_, i) => [`${id}a${i}`, `${id}b${i}`]);
  const sweep = { id, groups: names } as unknown as Sweep;
  const worker = () => new StoreGroups(store, sweep, new Deaths(store, true), 60_000);
  const done = async (trials: readonly string[]) => {
    for (const trial of trials) {
      const claim = await take(real, trial, 'w1', new Deaths(real));
      if (typeof claim !== 'string') await claim.write({ state: 'done' });
    }
  };
  return { store, sweep, worker, done, asked: () => requests };
}

it('what workers ask to be handed out groups is as much for a group of many as for one of few', async () => {
  const costs = [];
  for (const count of [10, 80]) {
    const { worker, done, asked } = await sweepOf(`s${count}`, count);
    const workers = [worker(), worker(), worker()];
    let left = count;
    for (let i = 0; left > 0; i++, left--) {
      const one = workers[i % 3];
      const group = (await one.take(never))!;
      await done(group.trials);
      await one.returned(group, true);
    }
    for (const one of workers) expect(await one.take(never)).toBeUndefined();
    costs.push(asked() / count);
  }
  const [few, many] = costs;
  expect(many).toBeLessThan(1.2 * few);
  expect(many).toBeLessThan(6);
});

it('who waits for groups that this process is at work on goes on as soon as they are over', async () => {
  const { worker, sweep, store, done } = await sweepOf('s1', 1);
  const groups = worker();
  const group = (await groups.take(never))!;
  const began = performance.now();
  const waiting = groups.take(never);
  await done(group.trials);
  await groups.returned(group, true);
  expect(await waiting).toBeUndefined();
  // A wait of its own would be a second, and then longer.
  expect(performance.now() - began).toBeLessThan(1000);
  expect(await endedGroups(store, sweep.id)).toEqual(new Set([0]));
});

it('a group whose trials are final is marked by whoever comes upon it, and what nobody names is taken away', async () => {
  const { worker, sweep, store, done } = await sweepOf('s2', 1);
  const [[first]] = sweep.groups;
  await done(sweep.groups[0]);
  await store.putFile(`trials/${first}/1-w0-7.safetensors`, import.meta.filename);
  expect(await worker().take(never)).toBeUndefined();
  expect(await endedGroups(store, sweep.id)).toEqual(new Set([0]));
  const files = [];
  for await (const key of store.list(`trials/${first}/`)) files.push(key);
  expect(files).toEqual([`trials/${first}/state.json`]);
});
