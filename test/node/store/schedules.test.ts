import fs, { mkdtempSync, readdirSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { openStore, type Store } from '../../../src/node/store/store.js';
import { decode, encode, keysOf } from '../../support/stores.js';
import { temporaryFolder } from '../data/folder.js';

// Several writers in one folder, whose calls of the file system follow each other in orders that are drawn.

const draws = fc.infiniteStream(fc.nat(5));
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

/** Runs writers side by side. Only when each of them waits for its next call, one is drawn that makes it. */
async function run(
  draws: Iterator<number>,
  writers: readonly ((store: Store) => Promise<unknown>)[],
): Promise<Store> {
  const store = await openStore(mkdtempSync(join(base.path, 'store-')));
  const waiting: (() => void)[] = [];
  let left = writers.length;
  const next = () => {
    if (left === 0 || waiting.length < left) return;
    const [go] = waiting.splice(draws.next().value % waiting.length, 1);
    go!();
  };
  ordered(
    () =>
      new Promise<void>((go) => {
        waiting.push(go);
        next();
      }),
  );
  const work = writers.map(async (writer) => {
    await writer(store);
    left--;
    next();
  });
  await Promise.all(work);
  Object.assign(fs.promises, originals);
  syncBuiltinESMExports();
  return store;
}

it('each version has one successor, and each addition counts once, in any order of calls', async () => {
  let lost = 0;
  const property = fc.asyncProperty(draws, async (order) => {
    const outcomes: { won: boolean; from: string }[] = [];
    const store = await run(
      order,
      ['a', 'b', 'c'].map((own) => async (store) => {
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
  const property = fc.asyncProperty(draws, async (order) => {
    const adder = (own: string) => async (store: Store) => {
      for (let i = 0; i < 3; i++) await add(store, `${own}${i}`);
    };
    const remover = async (store: Store) => {
      for (let i = 0; i < 2; i++) await store.remove('sum');
    };
    const store = await run(order, [adder('a'), adder('b'), remover]);
    const there = await store.read('sum');
    expect(await keysOf(store)).toEqual(there ? ['sum'] : []);
    if (there) expect(decode(there.bytes)).toMatch(/^\d [ab]\d$/);
    await store.remove('sum');
    expect(readdirSync(store.name)).toEqual(['.tmp']);
    expect(readdirSync(join(store.name, '.tmp'))).toEqual([]);
  });
  await fc.assert(property, { numRuns: 60 });
});
