import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { placesOf } from '../../../scripts/torture/faults.mjs';
import { arm } from '../../../scripts/torture/inject.mjs';
import { EngineError } from '../../../src/gpu/errors.js';
import { openStore, type Store } from '../../../src/node/store/store.js';
import { few } from '../../support/long.js';
import { decode, encode, keysOf, Racer } from '../../support/stores.js';
import { failure, temporaryFolder } from '../data/folder.js';

const base = temporaryFolder();
const place = () => mkdtempSync(join(base.path, 'store-'));
const temporaries = (folder: string) => readdirSync(join(folder, '.tmp'));
const text = async (store: Store, key: string) => decode((await store.read(key))?.bytes);

const { link } = fs.promises;
/** What the file system does when a name is to be made. */
function linking(does: typeof link): void {
  fs.promises.link = does;
  syncBuiltinESMExports();
}
afterEach(() => linking(link));
const failing = (code: string) => Object.assign(new Error(code), { code });

describe('a writer of a shared folder', () => {
  it.each([1, 3, 230])('that sleeps in the middle of it, through %i versions, loses', async (slept) => {
    const folder = place();
    const store = await openStore(folder);
    let version = (await store.create('a/lease', encode('0')))!;
    const asleep = await Racer.start({ store: folder, environment: {} });
    try {
      const late = asleep.ask({ do: 'sleep', key: 'a/lease', text: 'late', version });
      await stopped(asleep.process.pid!);
      for (let i = 1; i <= slept; i++) version = (await store.replace('a/lease', encode(`${i}`), version))!;
      asleep.process.kill('SIGCONT');
      expect(await late).toBeNull();
      expect(await text(store, 'a/lease')).toBe(`${slept}`);
      expect(await store.replace('a/lease', encode('next'), version)).toBeDefined();
      expect(temporaries(folder)).toEqual([]);
    } finally {
      asleep.end();
    }
  });

  it('that is killed in the middle of it leaves what is not listed, and goes with the next one', async () => {
    const folder = place();
    const store = await openStore(folder);
    const version = (await store.create('lease', encode('0')))!;
    const killed = await Racer.start({ store: folder, environment: {} });
    killed.ask({ do: 'sleep', key: 'lease', text: 'late', version }).catch(() => {});
    await stopped(killed.process.pid!);
    const [left] = temporaries(folder);
    expect(left).toBeDefined();
    expect(await keysOf(store)).toEqual(['lease']);
    await openStore(folder);
    expect(temporaries(folder)).toEqual([left]);
    const ended = once(killed.process, 'exit');
    killed.end();
    await ended;
    await openStore(folder);
    expect(temporaries(folder)).toEqual([]);
  });

  it("of another machine leaves what goes after a day, by the folder's clock", async () => {
    const folder = place();
    await openStore(folder);
    const left = join(folder, '.tmp', '01234567-1-99.tmp');
    writeFileSync(left, 'half');
    for (const [hours, there] of [
      [23, true],
      [25, false],
    ] as const) {
      const time = Date.now() / 1000 - hours * 3600;
      utimesSync(left, time, time);
      await openStore(folder);
      expect(existsSync(left)).toBe(there);
    }
  });

  it('wins where a network folder calls its success a failure', async () => {
    const store = await openStore(place());
    linking(async (from, to) => {
      await link(from, to);
      throw failing('EEXIST');
    });
    const version = (await store.create('key', encode('own')))!;
    expect(version).toBe('1');
    expect(await store.replace('key', encode('next'), version)).toBe('2');
    linking(link);
    expect(await text(store, 'key')).toBe('next');
  });

  it('keeps the last hundred versions, and the first', async () => {
    const folder = place();
    const store = await openStore(folder);
    let version = (await store.create('key', encode('1')))!;
    for (let i = 2; i <= 320; i++) version = (await store.replace('key', encode(`${i}`), version))!;
    const left = readdirSync(folder).filter((name) => name.startsWith('key'));
    expect(left.length).toBeLessThanOrEqual(202);
    for (let i = 221; i <= 320; i++) expect(left).toContain(`key~${i}`);
    expect(left).toContain('key');
    expect(await keysOf(store)).toEqual(['key']);
    expect(await store.read('key')).toMatchObject({ version: '320' });
    await store.remove('key');
    expect(readdirSync(folder)).toEqual(['.tmp']);
  });

  it.each([2, 50, 101, 102])(
    'loses where old versions up to %i are being removed when it makes its own',
    async (removed) => {
      const folder = place();
      const store = await openStore(folder);
      const version = (await store.create('key', encode('1')))!;
      linking(async (from, to) => {
        for (let i = 2; i <= 202; i++) if (i > removed) writeFileSync(join(folder, `key~${i}`), `${i}`);
        return link(from, to);
      });
      expect(await store.replace('key', encode('late'), version)).toBeUndefined();
      linking(link);
      expect(await text(store, 'key')).toBe('202');
      expect(existsSync(join(folder, 'key~2'))).toBe(false);
    },
  );

  it('wins though others have gone on from its version before it looks', async () => {
    const store = await openStore(place());
    const version = (await store.create('key', encode('1')))!;
    linking(async (from, to) => {
      linking(link);
      await link(from, to);
      expect(await store.replace('key', encode('3'), '2')).toBe('3');
    });
    expect(await store.replace('key', encode('2'), version)).toBe('2');
    expect(await text(store, 'key')).toBe('3');
  });

  it('leaves nothing of a record that is removed while it writes', async () => {
    const folder = place();
    const store = await openStore(folder);
    let version = (await store.create('key', encode('1')))!;
    version = (await store.replace('key', encode('2'), version))!;
    linking(async (from, to) => {
      linking(link);
      await store.remove('key');
      return link(from, to);
    });
    expect(await store.replace('key', encode('3'), version)).toBeUndefined();
    expect(readdirSync(folder)).toEqual(['.tmp']);
  });

  it('writes again what was swept away while it slept', async () => {
    const folder = place();
    const store = await openStore(folder);
    let once = true;
    linking(async (from, to) => {
      if (once) rmSync(from);
      once = false;
      return link(from, to);
    });
    expect(await store.create('a/b/key', encode('x'))).toBe('1');
    expect(await text(store, 'a/b/key')).toBe('x');
  });
});

describe('a folder that cannot be a store', () => {
  it('is refused with a sentence', async () => {
    const file = base.write('file', '');
    expect(await failure(EngineError, () => openStore(join(file, 'store')))).toBe(
      `Nothing can be written to the folder ${join(file, 'store/.tmp')}: a part of its path is a file, not a folder. Name another one.`,
    );
    linking(async () => {
      throw failing('EPERM');
    });
    const folder = place();
    expect(await failure(EngineError, () => openStore(folder))).toBe(
      `The folder ${folder} cannot be a store: a hard link cannot be made there (permission denied). Name a folder of a file system that has them, as NFS and local disks do.`,
    );
    expect(temporaries(folder)).toEqual([]);
  });
});

const root = process.platform === 'linux' && process.getuid?.() === 0;
const mounted = (folder: string) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0;

it.skipIf(!root)('a full disk leaves nothing half, and says so', async ({ skip }) => {
  const folder = place();
  if (!mounted(folder)) skip();
  try {
    const store = await openStore(folder);
    const version = (await store.create('first', encode('first')))!;
    let written = 0;
    const fill = async () => {
      for (; ; written++) await store.create(`a/${written}`, new Uint8Array(30_000).fill(written));
    };
    const full = (key: string) => `${key} in the store ${folder} cannot be written: the disk is full.`;
    expect(await failure(EngineError, fill)).toBe(full(`a/${written}`));
    expect(written).toBeGreaterThan(20);
    expect(await store.read(`a/${written}`)).toBeUndefined();
    expect(await failure(EngineError, () => store.replace('first', new Uint8Array(60_000), version))).toBe(
      full('first'),
    );
    const large = base.write('large', new Uint8Array(300_000));
    expect(await failure(EngineError, () => store.putFile('large', large))).toBe(full('large'));
    expect(await keysOf(store)).toHaveLength(written + 1);
    expect(temporaries(folder)).toEqual([]);
    for (let i = 0; i < written; i++) expect((await store.read(`a/${i}`))!.bytes).toHaveLength(30_000);
    for (let i = 0; i < 15; i++) await store.remove(`a/${i}`);
    await store.putFile('large', large);
    expect(await store.replace('first', new Uint8Array(60_000), version)).toBe('2');
    const into = join(folder, 'into');
    expect(await failure(EngineError, () => store.getFile('large', into))).toBe(
      `${into} cannot be written: the disk is full.`,
    );
    expect(existsSync(into)).toBe(false);
  } finally {
    spawnSync('umount', [folder]);
  }
});

it('each call of the file system fails once: nothing is half, and the next try does it', async () => {
  const from = base.write('from', 'a file');
  const scene = async () => {
    const folder = place();
    const store = await openStore(folder);
    await store.create('a/old', encode('old 1'));
    return { folder, store };
  };
  const work = async (folder: string) => {
    const store = await openStore(folder);
    const { version } = (await store.read('a/old'))!;
    await store.replace('a/old', encode(`old ${Number(version) + 1}`), version);
    await store.create('b/new', encode('new'));
    await store.putFile('c/file', from);
    await keysOf(store);
    await store.remove('c/file');
  };
  const log = join(base.path, 'calls');
  const first = await scene();
  arm(first.folder, undefined, log);
  await work(first.folder);
  arm(first.folder);
  const calls = readFileSync(log, 'utf8').split('\n').slice(0, -1);
  const places = placesOf(calls.map((call) => JSON.parse(call)));
  expect(places.length).toBeGreaterThan(25);
  const codes = ['EIO', 'ENOSPC', 'EACCES', 'EMFILE', 'ESTALE'];
  for (const [i, { key, place: failed, nth }] of few([...places.entries()], 16)) {
    const what = `${codes[i % codes.length]} in ${key}`;
    const { folder, store } = await scene();
    arm(folder, { place: failed, nth, code: codes[i % codes.length]! });
    const error = await work(folder).catch((error: unknown) => error);
    arm(folder);
    if (error !== undefined) expect(error, what).toBeInstanceOf(EngineError);
    expect(['old 1', 'old 2'], what).toContain(await text(store, 'a/old'));
    expect(['new', undefined], what).toContain(await text(store, 'b/new'));
    expect(['a file', undefined], what).toContain(await text(store, 'c/file'));
    for (const key of await keysOf(store)) expect(['a/old', 'b/new', 'c/file'], what).toContain(key);
    await work(folder);
    expect(await text(store, 'a/old'), what).toMatch(/^old [23]$/);
    expect([await text(store, 'b/new'), await text(store, 'c/file')], what).toEqual(['new', undefined]);
  }
});

/** Waits until a process has stopped itself. */
async function stopped(pid: number): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (/\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) return;
    await pause(10);
  }
  throw new Error(`Process ${pid} did not stop.`);
}
