import fs, { mkdtempSync, readdirSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { openStore, type Store } from '../../../src/node/store/store.js';
import { decode, encode, keysOf } from '../../support/stores.js';
import { temporaryFolder } from '../data/folder.js';

// Several writers in one folder, whose calls of the file system follow each other in orders that are drawn.

const base = temporaryFolder();
const names = ['link', 'readdir', 'readFile', 'rename', 'rm'] as const;
const originals = Object.fromEntries(names.map((name) => [name, fs.promises[name]]));
/** Lets each call wait for its turn. */
function ordered(turn: () => Promise<unknown>): void {
  for (const name of names) {
    const original = originals[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(fs.promises, {
      [name]: async (...args: unknown[]) => {
        await turn();
        return original(...args);
      },
    });
  }
  syncBuiltinESMExports();
}
afterEach(() => {
  Object.assign(fs.promises, originals);
  syncBuiltinESMExports();
});

/** Adds one, or makes the record with one. @returns whether it did, and what it took for the last version. */
async function add(store: Store, own: string): Promise<{ won: boolean; from: string }> {
  const there = await store.read('sum');
  const sum = Number.parseInt(decode(there?.bytes) ?? '0', 10);
  const next = encode(`${sum + 1} ${own}`);
  const version = there ? await store.replace('sum', next, there.version) : await store.create('sum', next);
  return { won: version !== undefined, from: there?.version ?? 'none' };
}

async function run(scheduler: fc.Scheduler, work: (store: Store) => Promise<unknown>[]): Promise<Store> {
  const store = await openStore(mkdtempSync(join(base.path, 'store-')));
  ordered(() => scheduler.schedule(Promise.resolve()));
  await scheduler.waitFor(Promise.all(work(store)));
  Object.assign(fs.promises, originals);
  syncBuiltinESMExports();
  return store;
}

it('each version has one successor, and each addition counts once, in any order of calls', async () => {
  let lost = 0;
  const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => {
    const outcomes: { won: boolean; from: string }[] = [];
    const store = await run(scheduler, (store) =>
      ['a', 'b', 'c'].map(async (own) => {
        for (let i = 0; i < 3; i++) outcomes.push(await add(store, `${own}${i}`));
      }),
    );
    const won = outcomes.filter((outcome) => outcome.won);
    lost += outcomes.length - won.length;
    expect(new Set(won.map(({ from }) => from)).size).toBe(won.length);
    expect(Number.parseInt(decode((await store.read('sum'))!.bytes)!, 10)).toBe(won.length);
  });
  await fc.assert(property, { numRuns: 60 });
  expect(lost).toBeGreaterThan(60);
});

it('a record that is removed meanwhile is there whole or not at all, and nothing is left in the end', async () => {
  const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => {
    const store = await run(scheduler, (store) => [
      ...['a', 'b'].map(async (own) => {
        for (let i = 0; i < 3; i++) await add(store, `${own}${i}`);
      }),
      store.remove('sum').then(() => store.remove('sum')),
    ]);
    const there = await store.read('sum');
    expect(await keysOf(store)).toEqual(there ? ['sum'] : []);
    if (there) expect(decode(there.bytes)).toMatch(/^\d [ab]\d$/);
    await store.remove('sum');
    expect(readdirSync(store.name)).toEqual(['.tmp']);
    expect(readdirSync(join(store.name, '.tmp'))).toEqual([]);
  });
  await fc.assert(property, { numRuns: 60 });
});
