// Where a fleet's sweeps are while they are tortured: a store in a folder or a bucket, with or without a queue; and what is in it.
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';
import { openStore } from '../../dist/node/store/store.js';
import { find } from '../fleet/machine.mjs';
import { makeServer } from '../fleet/redis.mjs';
import { filesIn } from './jobs.mjs';

/** @typedef {Awaited<ReturnType<typeof folderBed>>} Bed */

/** By what hands out the trials and where they are. */
export const beds = {
  folder: folderBed,
  bucket: bucketBed,
  ...(find('redis-server') && { queue: queueBed }),
};

const tests = fileURLToPath(new URL('../../test/', import.meta.url));

/** A store in a folder. @param {string} cwd @param {string} template a folder with what a store begins with */
export async function folderBed(cwd, template) {
  const store = join(cwd, 'store');
  cpSync(template, store, { recursive: true });
  const opened = await openStore(store);
  return {
    store,
    opened,
    env: /** @type {Record<string, string>} */ ({}),
    /** What says where trials are taken from, but for the sweep. */
    source: ['--store', store],
    /** Faults of what it is made of: each of these does one for a while. */
    faults: /** @type {Record<string, (random: () => number) => Promise<void>>} */ ({}),
    keys: async () => filesIn(store),
    /** @param {string} key */
    read: async (key) => readFileSync(join(store, key)),
    /** All versions of a record that are known, in their order. @param {string} key */
    async versions(key) {
      const folder = join(store, key, '..');
      if (!existsSync(folder)) return [];
      const name = key.slice(key.lastIndexOf('/') + 1);
      return filesIn(folder)
        .filter((file) => file === name || (file.startsWith(`${name}~`) && /~\d+$/.test(file)))
        .map((file) => [Number(file.split('~')[1] ?? 1), file])
        .sort(([a], [b]) => a - b)
        .map(([, file]) => readFileSync(join(folder, file), 'utf8'));
    },
    close: async () => {},
  };
}

/**
 * A store with a queue.
 * @param {{ program?: string, storeBed?: typeof folderBed, prefix?: readonly string[], host?: string }} [how] the last two as of `makeServer`
 */
export async function queueBed(cwd, template, how = {}) {
  const { program = find('redis-server') ?? '', storeBed = folderBed, ...where } = how;
  const bed = await storeBed(cwd, template);
  const server = await makeServer(program, where);
  const restart = async () => {
    await server.stop('SIGKILL');
    await pause(500);
  };
  return {
    ...bed,
    /** From this process, wherever it runs. */
    queue: server.unix,
    source: ['--on', server.url],
    faults: {
      ...bed.faults,
      async 'queue restarted'() {
        await restart();
        await server.start();
      },
      async 'queue forgets'() {
        await restart();
        server.forget();
        await server.start();
      },
    },
    async close() {
      await server.remove();
      await bed.close();
    },
  };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A store in a bucket of a server in this process. */
export async function bucketBed(_, template) {
  const { module } = await runnerImport(join(tests, 'support/s3-server.ts'));
  const server = await new module.S3Server().listen();
  const versions = new Map();
  const { objects } = server;
  const set = objects.set.bind(objects);
  objects.set = (key, held) => {
    if (key.endsWith('/state.json')) versions.set(key, [...(versions.get(key) ?? []), held.bytes.toString()]);
    return set(key, held);
  };
  const opened = await filled(`s3://${server.bucket}/a`, server.environment, template);
  /** Lets requests fail in a way for a while. */
  const failing = async (fault, share, milliseconds, random) => {
    server.fault = () => (random() < share ? fault : undefined);
    await pause(milliseconds);
    server.fault = () => undefined;
  };
  const passing = {
    'lost before': 'lost before',
    'lost after': 'lost after',
    cut: 'cut',
    'other bytes': 'other bytes',
    'stale list': 'stale list',
    'status 503': { status: 503, code: 'SlowDown' },
    'status 500': { status: 500, code: 'InternalError' },
    late: { late: 300 },
  };
  return {
    store: opened.name,
    opened,
    env: server.environment,
    source: ['--store', opened.name],
    faults: {
      ...Object.fromEntries(
        Object.entries(passing).map(([name, fault]) => [
          `bucket: ${name}`,
          (random) => failing(fault, 0.3 + 0.4 * random(), 1000 + 2000 * random(), random),
        ]),
      ),
      'bucket away': (random) => failing('lost before', 1, 1000 + 4000 * random(), random),
    },
    /** Lets no request through for a while. @param {number} milliseconds */
    away: (milliseconds) => failing('lost before', 1, milliseconds, Math.random),
    keys: async () => [...objects.keys()].map((key) => key.slice(2)).sort(),
    read: async (key) => objects.get(`a/${key}`).bytes,
    versions: async (key) => versions.get(`a/${key}`) ?? [],
    close() {
      opened.close();
      return server.close();
    },
  };
}

/** A store in the bucket of radosgw, of which the environment says where it is: see scripts/fleet/radosgw.mjs. */
export async function radosgwBed(_, template) {
  const { SAE_RADOSGW, SAE_RADOSGW_BUCKET, SAE_RADOSGW_ID, SAE_RADOSGW_SECRET } = process.env;
  const env = {
    AWS_ENDPOINT_URL_S3: SAE_RADOSGW ?? '',
    AWS_ACCESS_KEY_ID: SAE_RADOSGW_ID ?? '',
    AWS_SECRET_ACCESS_KEY: SAE_RADOSGW_SECRET ?? '',
  };
  const opened = await filled(`s3://${SAE_RADOSGW_BUCKET}/${randomUUID()}`, env, template);
  const read = async (key) => Buffer.from((await opened.read(key))?.bytes ?? []);
  return {
    store: opened.name,
    opened,
    env,
    source: ['--store', opened.name],
    faults: {},
    async keys() {
      const keys = [];
      for await (const key of opened.list('')) keys.push(key);
      return keys;
    },
    read,
    /** A bucket has the newest one alone. */
    async versions(key) {
      const text = (await read(key)).toString();
      return text === '' ? [] : [text];
    },
    close: async () => opened.close(),
  };
}

/** Opens the store of a bucket, and puts into it what a store begins with. @param {Record<string, string>} environment of its client */
async function filled(name, environment, template) {
  const before = { ...process.env };
  Object.assign(process.env, environment);
  const store = await openStore(name);
  for (const variable of Object.keys(environment)) delete process.env[variable];
  Object.assign(process.env, before);
  for (const key of filesIn(template)) {
    if (!key.startsWith('.')) await store.putFile(key, join(template, key));
  }
  return store;
}
