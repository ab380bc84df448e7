import { type ChildProcess, fork } from 'node:child_process';
import { on, once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probeStore } from '../../src/node/store/probe.js';
import { openStore, type Store } from '../../src/node/store/store.js';
import { DataError } from '../../src/sae/errors.js';
import { temporaryFolder } from '../node/data/folder.js';

/** How a store is reached, from this process and from others. */
export interface Bed {
  readonly store: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** How often each is done. */
export interface Counts {
  /** Of four processes that write one record at once. None: no other process is started. */
  readonly races: number;
  /** By each of four processes to one number. */
  readonly additions: number;
  /** Sequences of operations against a model. */
  readonly sequences: number;
  /** Versions through which a writer sleeps. */
  readonly slept: number;
  /** Lengths of files. */
  readonly files: readonly number[];
}

/** The last ones go in parts. */
export const lengths = [0, 1, 70_001, 2 ** 24, 2 ** 24 + 1, 2 ** 25 + 5];

export const encode = (text: string) => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

export async function keysOf(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(prefix)) keys.push(key);
  return keys;
}

async function textOf(store: Store, key: string): Promise<[string | undefined, string | undefined]> {
  const read = await store.read(key);
  return [decode(read?.bytes), read?.version];
}

/** Opens a store with an environment in the place of this process's. */
export async function openIn({ store, environment }: Bed): Promise<Store> {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, environment);
  return openStore(store);
}

/** Milliseconds for what a real server takes minutes for. */
const longest = 600_000;

/** Another process that has the store. */
export class Racer {
  #asked = 0;

  private constructor(readonly process: ChildProcess) {}

  static async start({ store, environment }: Bed): Promise<Racer> {
    const child = fork(join(import.meta.dirname, 'store-racer.mjs'), [store], {
      env: { ...process.env, ...environment },
      execArgv: [],
    });
    const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (typeof first !== 'object') throw new Error(`A racer ended with ${first}. Was dist built?`);
    return new Racer(child);
  }

  async ask(message: object): Promise<unknown> {
    const id = this.#asked++;
    this.process.send({ ...message, id });
    for await (const [answer] of on(this.process, 'message')) {
      if (answer.id !== id) continue;
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer.result;
    }
    return undefined;
  }

  end(): void {
    this.process.kill('SIGKILL');
  }
}

/** What every store does, whatever it is made of. */
export function storeSuite(name: string, bedOf: () => Promise<Bed>, counts: Counts): void {
  describe(name, () => {
    const folder = temporaryFolder();
    const own = `k${process.pid}`;
    let bed: Bed;
    let store: Store;
    const racers: Racer[] = [];
    beforeAll(async () => {
      bed = await bedOf();
      store = await openIn(bed);
      for (let i = 0; i < 4 && counts.races > 0; i++) racers.push(await Racer.start(bed));
    });
    afterAll(() => {
      for (const racer of racers) racer.end();
      store?.close();
    });

    it('makes a record once, and replaces the version that is named', async () => {
      const key = `${own}/a/run.json`;
      expect(await store.read(key)).toBeUndefined();
      expect(await store.replace(key, encode('none'), '1')).toBeUndefined();
      const first = (await store.create(key, encode('one')))!;
      expect(first).toMatch(/./);
      expect(await store.create(key, encode('other'))).toBeUndefined();
      expect(decode((await store.read(key))!.bytes)).toBe('one');
      const second = (await store.replace(key, encode('two'), first))!;
      expect(second).not.toBe(first);
      expect(await store.replace(key, encode('three'), first)).toBeUndefined();
      expect(await textOf(store, key)).toEqual(['two', second]);
      expect(await store.create(key, encode('again'))).toBeUndefined();
      expect(await keysOf(store, `${own}/a/`)).toEqual([key]);
      await store.remove(key);
      await store.remove(key);
      expect(await store.read(key)).toBeUndefined();
      expect(await store.replace(key, encode('late'), second)).toBeUndefined();
      expect(await keysOf(store, `${own}/a/`)).toEqual([]);
      expect(await store.create(key, encode('anew'))).toBeDefined();
    });

    it('lists keys by prefix, in the order of their bytes', async () => {
      const keys = ['b.x', 'b-x/1', 'b/2', 'b/10', 'B/1', 'b_x', 'b/a/z', 'b/a-', 'b=1,2+3@4'].map(
        (key) => `${own}/l/${key}`,
      );
      for (const key of keys) await store.create(key, encode(key));
      for (const prefix of ['', 'b', 'b/', 'b/a', 'b/1', 'c', 'b/a/z/']) {
        const expected = keys.filter((key) => key.startsWith(`${own}/l/${prefix}`));
        expected.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(await keysOf(store, `${own}/l/${prefix}`)).toEqual(expected);
      }
    });

    it.each(counts.files)('holds a file of %i bytes', async (bytes) => {
      const content = Buffer.alloc(bytes, `${bytes} `);
      const from = folder.write(`from-${bytes}`, content);
      const to = join(folder.path, `to-${bytes}`);
      const key = `${own}/f/${bytes}`;
      await store.putFile(key, from);
      await store.getFile(key, to);
      expect(readFileSync(to).equals(content)).toBe(true);
      // Another try of the same worker.
      writeFileSync(from, 'other');
      await store.putFile(key, from);
      await store.getFile(key, to);
      expect(readFileSync(to, 'utf8')).toBe('other');
      expect(await keysOf(store, `${own}/f/${bytes}`)).toContain(key);
      await store.remove(key);
      await expect(store.getFile(key, to)).rejects.toThrow(DataError);
      await expect(store.getFile(key, to)).rejects.toThrow(`There is no file ${key} in the store`);
      expect(readFileSync(to, 'utf8')).toBe('other');
    });

    it('refuses what is no key', async () => {
      for (const key of [
        '',
        '/a',
        'a/',
        'a//b',
        '../a',
        'a/../b',
        '.tmp/x',
        'a~2',
        'ä',
        'a b',
        'a\\b',
        'a\0',
      ]) {
        await expect(store.create(key, encode('x'))).rejects.toThrow('is no key of a store');
      }
    });

    it('passes the probe, which leaves nothing', async () => {
      await probeStore(store);
      expect(await keysOf(store, 'probe-')).toEqual([]);
    });

    const raced = it.skipIf(counts.races === 0);
    raced(
      `lets one of four processes win each of ${counts.races} races`,
      async () => {
        let version: string | undefined;
        for (let race = 0; race < counts.races; race++) {
          const key = `${own}/r/${race >> 3}`;
          if (race % 8 === 0) version = undefined;
          const message = {
            key,
            version,
            do: version === undefined ? 'create' : 'replace',
            at: Date.now() + 2,
          };
          const won = await Promise.all(racers.map((r, i) => r.ask({ ...message, text: `${race} ${i}` })));
          const winners = won.flatMap((found, i) => (found === null ? [] : [i]));
          expect(winners, `race ${race} of ${message.do}: ${won}`).toHaveLength(1);
          version = won[winners[0]!] as string;
          expect(await textOf(store, key)).toEqual([`${race} ${winners[0]}`, version]);
        }
      },
      longest,
    );

    raced(
      `loses none of 4 x ${counts.additions} additions of four processes`,
      async () => {
        const key = `${own}/sum`;
        await store.create(key, encode('0 start'));
        await Promise.all(racers.map((racer) => racer.ask({ do: 'count', key, times: counts.additions })));
        expect(decode((await store.read(key))?.bytes)).toMatch(new RegExp(`^${4 * counts.additions} `));
      },
      longest,
    );

    raced(`lets a writer that sleeps through ${counts.slept} versions lose`, async () => {
      const key = `${own}/slept`;
      const asleep = await Racer.start(bed);
      try {
        const first = (await store.create(key, encode('0')))!;
        asleep.process.kill('SIGSTOP');
        const late = asleep.ask({ do: 'replace', key, text: 'late', version: first });
        let version = first;
        for (let i = 1; i <= counts.slept; i++)
          version = (await store.replace(key, encode(`${i}`), version))!;
        asleep.process.kill('SIGCONT');
        expect(await late).toBeNull();
        expect(await textOf(store, key)).toEqual([`${counts.slept}`, version]);
      } finally {
        asleep.end();
      }
    });

    it(
      `does what a model does, in ${counts.sequences} sequences of operations`,
      async () => {
        let sequence = 0;
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
            await againstModel(store, `${own}/m/${sequence++}`, steps, folder.path);
          }),
          { numRuns: counts.sequences },
        );
      },
      longest,
    );
  });
}

const step = fc.record({
  do: fc.constantFrom('create', 'replace', 'stale', 'read', 'list', 'remove', 'put', 'get'),
  key: fc.constantFrom('a', 'b', 'b-', 'b/c', 'd/e/f'),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What is done to a store, one after the other. */
export const steps = fc.array(step, { maxLength: 12 });

/** Each operation does to the store what it does to a map. `b` and `b/c` are a file and a folder, so one of them is left out. */
export async function againstModel(store: Store, base: string, sequel: readonly Step[], folder: string) {
  const model = new Map<string, { text: string; version: string | undefined }>();
  const versions = new Map<string, string[]>();
  const file = join(folder, 'model');
  let written = 0;
  for (const { do: what, key: name } of sequel) {
    const key = `${base}/${name === 'b' ? 'c' : name}`;
    const there = model.get(key);
    const next = `${base} ${written++}`;
    const known = versions.get(key) ?? [];
    if (what === 'create') {
      // A file that was put has no version.
      const version = await store.create(key, encode(next));
      expect(version !== undefined).toBe(there === undefined);
      if (version !== undefined) model.set(key, { text: next, version });
      if (version !== undefined) versions.set(key, [version]);
    } else if (what === 'replace' && there?.version !== undefined) {
      const version = await store.replace(key, encode(next), there.version);
      expect(version).toBeDefined();
      model.set(key, { text: next, version });
      versions.set(key, [...known, version!]);
    } else if (what === 'stale' && known.length > 0 && there?.version !== known[0]) {
      if (there === undefined || known.length > 1) {
        expect(await store.replace(key, encode(next), known[0]!)).toBeUndefined();
      }
    } else if (what === 'remove') {
      await store.remove(key);
      model.delete(key);
    } else if (what === 'put' && there === undefined) {
      writeFileSync(file, next);
      await store.putFile(key, file);
      model.set(key, { text: next, version: undefined });
      versions.delete(key);
    } else if (what === 'get' && there?.version === undefined) {
      if (there) {
        await store.getFile(key, file);
        expect(readFileSync(file, 'utf8')).toBe(there.text);
      } else await expect(store.getFile(key, file)).rejects.toThrow(DataError);
    } else if (what === 'list') {
      const keys = [...model.keys()].sort((a, b) => (a < b ? -1 : 1));
      expect(await keysOf(store, `${base}/`)).toEqual(keys);
    } else {
      const read = await store.read(key);
      expect(decode(read?.bytes)).toBe(there?.text);
      if (there?.version !== undefined) expect(read!.version).toBe(there.version);
    }
  }
}
