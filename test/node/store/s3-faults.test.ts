import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../src/gpu/errors.js';
import { probeStore } from '../../../src/node/store/probe.js';
import { limits } from '../../../src/node/store/s3-client.js';
import type { Store } from '../../../src/node/store/store.js';
import { ConfigError } from '../../../src/sae/errors.js';
import { long } from '../../support/long.js';
import { type Asked, type Fault, S3Server } from '../../support/s3-server.js';
import { againstModel, decode, encode, keysOf, openIn, steps } from '../../support/stores.js';
import { failure, temporaryFolder } from '../data/folder.js';

Object.assign(limits, { pause: 2, connect: 120, idle: 120, part: 2000 });
const folder = temporaryFolder();
const server = await new S3Server().listen();
Object.assign(server, { leastPart: 0, pageLength: 2 });
const bed = { store: `s3://${server.bucket}/faults`, environment: server.environment };
const lanes = await Promise.all(Array.from({ length: 8 }, () => new S3Server().listen()));
for (const lane of lanes) Object.assign(lane, { leastPart: 0, pageLength: 2 });
afterAll(() => Promise.all([server, ...lanes].map((one) => one.close())));
beforeEach(() => {
  server.fault = () => undefined;
  server.conditions = 'kept';
  server.ahead = 0;
});

const faults: Fault[] = [
  'lost before',
  'lost after',
  'cut',
  'other bytes',
  'too short',
  'stalled',
  'stalls in body',
  { status: 500, code: 'InternalError' },
  { status: 503, code: 'SlowDown' },
  { status: 429, code: 'TooManyRequests' },
  { status: 409, code: 'ConditionalRequestConflict' },
  { status: 400, code: 'RequestTimeout' },
  // Its sender has asked again, and was served, before it is carried out.
  { late: 200 },
];

const small = folder.write('small', 'a file');
const large = folder.write('large', 'a larger file '.repeat(200));
const content = (path: string) => readFileSync(path, 'utf8');

const putAndGet = (file: string) => ({
  async run(store: Store, key: string) {
    await store.putFile(key, file);
    const into = join(folder.path, key.replaceAll('/', '-'));
    await store.getFile(key, into);
    return content(into);
  },
  result: content(file),
});

/** What a store is asked for, on a key where `before` is, and what comes of it. */
const operations: Readonly<
  Record<
    string,
    { readonly before?: string; run(store: Store, key: string): Promise<unknown>; result: unknown }
  >
> = {
  create: {
    run: async (store, key) => [
      (await store.create(key, encode('new'))) !== undefined,
      await text(store, key),
    ],
    result: [true, 'new'],
  },
  'create what is there': {
    before: 'old',
    run: async (store, key) => [await store.create(key, encode('new')), await text(store, key)],
    result: [undefined, 'old'],
  },
  replace: {
    before: 'old',
    async run(store, key) {
      const { version } = (await store.read(key))!;
      const next = await store.replace(key, encode('new'), version);
      return [next === (await store.read(key))!.version, await text(store, key)];
    },
    result: [true, 'new'],
  },
  'replace another version': {
    before: 'old',
    run: async (store, key) => [
      await store.replace(key, encode('new'), 'f'.repeat(32)),
      await text(store, key),
    ],
    result: [undefined, 'old'],
  },
  list: {
    before: 'old',
    async run(store, key) {
      for (const name of ['1', '2', '3', '4']) await store.create(`${key}/${name}`, encode(name));
      return (await keysOf(store, `${key}/`)).map((found) => found.slice(key.length));
    },
    result: ['/1', '/2', '/3', '/4'],
  },
  'put and get a file': putAndGet(small),
  'put and get a file in parts': putAndGet(large),
  remove: {
    before: 'old',
    async run(store, key) {
      await store.remove(key);
      return text(store, key);
    },
    result: undefined,
  },
};

async function text(store: Store, key: string): Promise<string | undefined> {
  return decode((await store.read(key))?.bytes);
}

describe('a bucket in trouble', () => {
  // The others differ in what they ask for, not in how it is asked again.
  const tried = Object.entries(operations).filter(([name]) => long || name === 'replace');
  it.each(tried)('%s: each request fails once in each way', async (name, operation) => {
    let keys = 0;
    const attempt = async (lane: S3Server, fault: Fault | undefined, at: number) => {
      const key = `${name.replaceAll(' ', '-')}/${keys++}`;
      const own = { ...bed, environment: lane.environment };
      if (operation.before) {
        lane.fault = () => undefined;
        const store = await openIn(own);
        await store.create(key, encode(operation.before));
        store.close();
      }
      let requests = 0;
      lane.fault = () => (requests++ === at ? fault : undefined);
      const store = await openIn(own);
      try {
        const result = await operation.run(store, key);
        expect(result, `${JSON.stringify(fault)} of request ${at}`).toEqual(operation.result);
      } finally {
        store.close();
      }
      return requests;
    };
    const requests = await attempt(lanes[0]!, undefined, 0);
    const left = faults.flatMap((fault) => Array.from({ length: requests }, (_, at) => ({ fault, at })));
    expect(left.length).toBeGreaterThan(30);
    // Most of it is waiting.
    const work = lanes.map(async (lane) => {
      for (let one = left.pop(); one; one = left.pop()) await attempt(lane, one.fault, one.at);
    });
    await Promise.all(work);
  });

  it('does what a model does, though one request in four fails', async () => {
    const quick = faults.filter((fault) =>
      typeof fault === 'object' ? 'status' in fault : !fault.startsWith('stall'),
    );
    const store = await openIn(bed);
    let sequence = 0;
    let failed = 0;
    const property = fc.asyncProperty(
      steps,
      fc.infiniteStream(fc.nat(4 * quick.length - 1)),
      async (sequel, draws) => {
        server.fault = () => {
          const fault = quick[draws.next().value as number];
          if (fault) failed++;
          return fault;
        };
        await againstModel(store, `model/${sequence++}`, sequel, folder.path);
      },
    );
    await fc.assert(property, { numRuns: long ? 120 : 40 });
    expect(failed).toBeGreaterThan(40);
  });

  it('loses no addition where replies are lost', async () => {
    const stores = await Promise.all(Array.from({ length: 4 }, () => openIn(bed)));
    await stores[0]!.create('sum', encode('0'));
    const draw = fc.sample(fc.nat(5), { numRuns: 10_000, seed: 1 });
    let unseen = 0;
    server.fault = ({ method }, number) => {
      const fault =
        method === 'PUT' ? (['lost after', 'lost before'] as const)[draw[number % draw.length]!] : undefined;
      if (fault === 'lost after') unseen++;
      return fault;
    };
    const times = 15;
    await Promise.all(
      stores.map(async (store, own) => {
        for (let done = 0; done < times; ) {
          const { bytes, version } = (await store.read('sum'))!;
          const next = `${Number.parseInt(decode(bytes)!, 10) + 1} by ${own}`;
          if ((await store.replace('sum', encode(next), version)) !== undefined) done++;
        }
      }),
    );
    const sum = Number.parseInt((await text(stores[0]!, 'sum'))!, 10);
    expect(unseen).toBeGreaterThan(10);
    // One whose reply is lost may be replaced by others before it is asked about: it counts, though its writer is told that it lost.
    expect(sum).toBeGreaterThanOrEqual(stores.length * times);
    expect(sum).toBeLessThan(stores.length * times + unseen);
  });

  it.each([3_600_000, -3_600_000])('works with a clock that is %i ms off', async (ahead) => {
    server.ahead = ahead;
    const store = await openIn(bed);
    let requests = 0;
    server.fault = () => void requests++;
    expect(await store.create(`skew/a${Math.abs(ahead)}${ahead < 0}`, encode('x'))).toBeDefined();
    // The first request, which opened the store, has corrected it.
    expect(requests).toBe(1);
    // It jumps.
    server.ahead = -ahead;
    expect(await text(store, `skew/a${Math.abs(ahead)}${ahead < 0}`)).toBe('x');
    expect(requests).toBe(3);
  });

  it('gives up after so many attempts, with a sentence', async () => {
    const store = await openIn(bed);
    let requests = 0;
    for (const fault of [{ status: 503, code: 'SlowDown' }, 'stalled', 'lost before'] as const) {
      requests = 0;
      server.fault = () => {
        requests++;
        return fault;
      };
      const message = await failure(EngineError, () => store.read('x'));
      expect(requests).toBe(limits.attempts);
      expect(message).toMatch(
        /^The store s3:\/\/the-bucket\/faults cannot be used: 127\.0\.0\.1:\d+ (answered 503 \(SlowDown\)|did not answer within 0.12 s|cut the connection)\. Check AWS_ENDPOINT_URL_S3 and the network, and try again\.$/,
      );
    }
  });

  it('stops at once where it is closed', async () => {
    const store = await openIn(bed);
    server.fault = () => 'stalled';
    const { connect } = limits;
    limits.connect = 1_000_000;
    const reading = store.read('x');
    store.close();
    await expect(reading).rejects.toThrow('The store s3://the-bucket/faults was closed.');
    limits.connect = connect;
  });

  it('leaves no upload behind that fails', async () => {
    const store = await openIn(bed);
    const uploads = server.uploads.size;
    server.fault = ({ query }) =>
      query.get('partNumber') === '2' ? { status: 403, code: 'AccessDenied' } : undefined;
    await expect(store.putFile('failed', large)).rejects.toThrow(ConfigError);
    expect(server.uploads.size).toBe(uploads);
    expect(server.objects.has('faults/failed')).toBe(false);
  });

  it('keeps the old file where the new one cannot be had whole', async () => {
    const store = await openIn(bed);
    await store.putFile('damaged', large);
    const held = server.objects.get('faults/damaged')!;
    server.objects.set('faults/damaged', { ...held, bytes: Buffer.from(held.bytes.map((byte) => byte ^ 2)) });
    const path = folder.write('kept', 'old');
    const message = await failure(EngineError, () => store.getFile('damaged', path));
    expect(message).toContain('sent other bytes than were stored for damaged');
    expect(content(path)).toBe('old');
  });
});

describe('the probe', () => {
  const refusal = async (prepare: () => void): Promise<string> => {
    const store = await openIn(bed);
    prepare();
    const message = await failure(ConfigError, () => probeStore(store));
    server.fault = () => undefined;
    expect(await keysOf(store, 'probe-')).toEqual([]);
    return message;
  };

  it('refuses a server that leaves conditions out', async () => {
    expect(
      await refusal(() => {
        server.conditions = 'ignored';
      }),
    ).toBe(
      'The store s3://the-bucket/faults cannot be used: its server made a record a second time. Conditional writes (If-None-Match and If-Match) are needed; use a server that has them, or a shared folder.',
    );
  });

  it.each([
    ['If-Match', (asked: Asked) => 'if-match' in asked.headers, 'replaced a record of another version'],
    [
      'absent',
      (asked: Asked) => 'if-match' in asked.headers && asked.headers['if-match'] !== '',
      'replaced a record',
    ],
  ])('refuses a server that leaves %s out', async (_, leaves, said) => {
    const message = await refusal(() => {
      server.fault = (asked) => {
        server.conditions = leaves(asked) ? 'ignored' : 'kept';
        return undefined;
      };
    });
    expect(message).toContain(said);
  });

  it('refuses a server whose lists are old', async () => {
    const message = await refusal(() => {
      server.fault = ({ query }) => (query.has('list-type') ? 'stale list' : undefined);
    });
    expect(message).toContain('its server does not list what was written');
  });
});
