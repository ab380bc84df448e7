import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findDataFiles } from '../../../src/node/data/find.js';
import { openDataset, readDataset } from '../../../src/node/data/read.js';
import { urlFile } from '../../../src/node/data/url-file.js';
import { DataError } from '../../../src/sae/errors.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import { decodeRows } from '../../../src/sae/rows/decode.js';
import { npy } from '../../cli/sae.js';
import { failure } from './folder.js';

const fixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../fixtures/rows/${name}`, import.meta.url)));

/** More than is asked for at first. */
const many = Float32Array.from({ length: 4 * 20_000 }, (_, i) => Math.sin(i));
const isMany = ({ data }: Dataset) => Buffer.from(data.buffer).equals(Buffer.from(many.buffer));
const files: Record<string, Uint8Array> = {
  '/rows.npy': npy([20_000, 4], many),
  '/rows.npy.gz': gzipSync(npy([20_000, 4], many)),
  '/rows.npy.zst': fixture('rows.npy.zst'),
  '/tensor.pt': fixture('tensor-f32.pt'),
  '/rows.csv': Buffer.from('1,2\n3,4\n'),
  '/empty.npy': new Uint8Array(0),
  ...Object.fromEntries(
    ['acts000000.bin', 'metadata.json', 'shards.json'].map((name) => [
      `/saev/${name}`,
      fixture(`saev/${name}`),
    ]),
  ),
};

/** What a test makes of an answer: true if it answered itself. */
type Trick = (request: IncomingMessage, response: ServerResponse, part: Part) => boolean | undefined;
interface Part {
  readonly whole: Uint8Array;
  readonly begin: number;
  readonly end: number;
  /** Of all requests in a test, from 1. */
  readonly count: number;
}

let trick: Trick = () => false;
let asked: string[] = [];
let ranges = true;
const server = createServer((request, response) => {
  const whole = files[new URL(request.url!, 'http://x').pathname];
  asked.push(`${request.url} ${request.headers.range ?? ''}`.trim());
  if (!whole) return response.writeHead(404).end();
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const begin = Number(first ?? 0);
  const end = Math.min(whole.length, Number(last ?? whole.length) + 1);
  if (trick(request, response, { whole, begin, end, count: asked.length })) return;
  if (!ranges || first === undefined)
    return response.writeHead(200, { 'content-length': whole.length }).end(whole);
  if (begin >= whole.length)
    return response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
  response.writeHead(206, part(begin, end, whole.length)).end(whole.subarray(begin, end));
});

const part = (begin: number, end: number, all: number, tag = '"1"') => ({
  'content-range': `bytes ${begin}-${end - 1}/${all}`,
  'content-length': end - begin,
  etag: tag,
});

let flooding: ServerResponse;
let flooded = 0;
/** Sends as much as the other side takes. */
function flood(response: ServerResponse): true {
  const much = Buffer.alloc(2 ** 16);
  flooding = response;
  flooded = 0;
  const more = () => {
    while (!response.destroyed && response.write(much)) flooded += much.length;
  };
  response.on('drain', more);
  more();
  return true;
}

let host = '';
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  trick = () => false;
  asked = [];
  ranges = true;
});

const quick = { connectTimeout: 300, idleTimeout: 300, retryDelay: 1 };
const read = (path: string, options = {}) => decodeRows([() => urlFile(`${host}${path}`, quick)], options);
const refusal = (path: string) => failure(DataError, () => read(path));

describe('files on a server', () => {
  it.each([true, false])('that sends parts: %s', async (sends) => {
    ranges = sends;
    expect(isMany(await readDataset(`${host}/rows.npy?key=secret`))).toBe(true);
    expect(isMany(await readDataset(`${host}/rows.npy.gz`))).toBe(true);
    expect((await readDataset(`${host}/tensor.pt`)).rows).toBe(3);
    expect((await readDataset(`${host}/rows.npy.zst`)).rows).toBe(3);
    expect([...(await readDataset(`${host}/rows.csv`)).data]).toEqual([1, 2, 3, 4]);
    const { data, name } = await readDataset(`${host}/saev/acts000000.bin`, { tensor: '3' });
    expect([data[0], name]).toEqual([300, 'acts000000.bin']);
    expect(await refusal('/empty.npy')).toMatch(/empty\.npy is empty; expected/);
    expect(await refusal('/nowhere.npy?key=secret')).toBe(
      `There is no file ${host}/nowhere.npy: ${host.slice(7)} answered 404 Not Found.`,
    );
  });

  it('rows from their places: nothing more is asked for', async () => {
    const rows = await openDataset(`${host}/rows.npy`, { most_memory: 1000 });
    if (!('read' in rows)) throw new Error('They are in memory.');
    asked = [];
    expect(await rows.read(9_000, 9_002)).toEqual(many.subarray(36_000, 36_008));
    expect(asked).toEqual([`/rows.npy bytes=${128 + 144_000}-${128 + 144_031}`]);
  });

  it('that fails at first, stalls, cuts its answers or sends less than it was asked for', async () => {
    const tricks: Trick[] = [
      (_, response, { count }) => count % 3 !== 0 && !!response.writeHead(503).end(),
      (request, _, { count }) => count % 2 === 1 && !!request.socket.destroy(),
      // Nothing, and the half of it before nothing.
      (_, __, { count }) => count % 3 === 1,
      (_, response, { whole, begin, end, count }) => {
        if (count % 3 === 0) return false;
        response.writeHead(206, part(begin, end, whole.length));
        response.write(whole.subarray(begin, (begin + end) >> 1));
        return true;
      },
      (request, response, { whole, begin, end, count }) => {
        if (count % 3 === 0) return false;
        response.writeHead(206, part(begin, end, whole.length));
        response.write(whole.subarray(begin, begin + 1000), () => request.socket.destroy());
        return true;
      },
      (_, response, { whole, begin, end }) => {
        const less = Math.min(end, begin + 50_000);
        return !!response.writeHead(206, part(begin, less, whole.length)).end(whole.subarray(begin, less));
      },
    ];
    for (trick of tricks) {
      asked = [];
      expect(isMany(await read('/rows.npy'))).toBe(true);
      expect(asked.length).toBeGreaterThan(2);
    }
  });

  it('that does not send parts and cuts what it sends', async () => {
    ranges = false;
    trick = (request, response, { whole, count }) => {
      if (count % 3 !== 2) return false;
      response.writeHead(200, { 'content-length': whole.length });
      response.write(whole.subarray(0, 1000), () => request.socket.destroy());
      return true;
    };
    expect(isMany(await read('/rows.npy'))).toBe(true);
    // Without a length, its end cannot be told from a cut, and the header's claim is.
    trick = (_, response, { whole }) => !!response.writeHead(200).end(whole.subarray(0, 1000));
    expect(await refusal('/rows.npy')).toMatch(/rows\.npy claims 20,000 rows .*, but ends at byte 1,000\./);
  });

  const lies: readonly [what: string, trick: Trick, sentence: RegExp][] = [
    [
      'always fails',
      (_, response) => !!response.writeHead(500).end(),
      /answered 500 .*, 4 times\. Try again later\./,
    ],
    ['never answers', () => true, /did not answer within 0\.3 s, 4 times\./],
    ['forbids it', (_, response) => !!response.writeHead(403).end(), /answered 403 Forbidden\.$/],
    [
      'sends another part',
      (_, response, { whole, begin, end }) =>
        !!response.writeHead(206, part(begin + 1, end, whole.length)).end(whole.subarray(begin + 1, end)),
      /cannot be read in parts: asked for bytes 0 to 65,535, .* answered 206 with content-range bytes 1-65535\/320128\./,
    ],
    [
      'does not say which part',
      (_, response, { whole }) => !!response.writeHead(206).end(whole.subarray(0, 9)),
      /answered 206 with no content-range/,
    ],
    [
      'sends more than the part that it announces',
      (_, response, { begin, end, whole }) => {
        response.writeHead(206, {
          'content-range': `bytes ${begin}-${end - 1}/${whole.length}`,
          etag: '"1"',
        });
        return flood(response);
      },
      /sent more of .*rows\.npy than it was asked for\.$/,
    ],
    [
      'sends more than the file that it announces',
      (_, response, { whole }) =>
        !!response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(whole.subarray(0, 1000)),
      /sent more of .*rows\.npy than it was asked for\.$/,
    ],
    [
      'floods a later part',
      (_, response, { begin, end, whole, count }) => {
        if (count === 1) return false;
        response.writeHead(206, {
          'content-range': `bytes ${begin}-${end - 1}/${whole.length}`,
          etag: '"1"',
        });
        return flood(response);
      },
      /sent more of .*rows\.npy than it was asked for\.$/,
    ],
    [
      'announces parts beyond the end of the file',
      (_, response, { whole }) => !!response.writeHead(206, { 'content-range': 'bytes 0-99/50' }).end(whole),
      /answered 206 with content-range bytes 0-99\/50\./,
    ],
    [
      'announces a file without an end',
      (_, response, { whole, begin, end }) =>
        !!response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/*` }).end(whole),
      /answered 206 with content-range bytes 0-65535\/\*\./,
    ],
    [
      'has another file when it is asked for the rest of a part that it cut',
      (request, response, { whole, begin, end, count }) => {
        response.writeHead(206, part(begin, end, whole.length, `"${count}"`));
        response.write(whole.subarray(begin, begin + 1000), () => request.socket.destroy());
        return true;
      },
      /rows\.npy was changed while it was read: .* says that it is another version \("2", before "1"\)\. Begin/,
    ],
    [
      'drips',
      (_, response, { whole, begin, end }) => {
        response.writeHead(206, part(begin, end, whole.length));
        const drops = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(drops));
        return true;
      },
      /sent only \d+ bytes in 0 s, 4 times\. Try again later\.$/,
    ],
    [
      'sends more parts than it was asked for',
      (_, response, { whole, begin, count }) =>
        count > 1 &&
        !!response
          .writeHead(206, {
            ...part(begin, whole.length, whole.length),
            'content-length': whole.length - begin + 9,
          })
          .end(Buffer.concat([whole.subarray(begin), Buffer.alloc(9)])),
      /sent more of .*rows\.npy than it was asked for/,
    ],
    [
      'forgets parts',
      (_, response, { whole, count }) => count > 1 && !!response.writeHead(200).end(whole),
      /cannot be read in parts: asked for bytes 65,536 to 320,127, .* answered 200 with no content-range/,
    ],
    [
      'has another file meanwhile',
      (_, response, { whole, begin, end, count }) =>
        count > 1 &&
        !!response.writeHead(206, part(begin, end, whole.length, '"2"')).end(whole.subarray(begin, end)),
      /rows\.npy was changed while it was read: .* says that it is another version \("2", before "1"\)\. Begin/,
    ],
    [
      'has a longer file meanwhile',
      (_, response, { whole, begin, end, count }) =>
        count > 1 &&
        !!response.writeHead(206, part(begin, end, whole.length + 16, '"2"')).end(whole.subarray(begin, end)),
      /rows\.npy was changed while it was read: it had 320,128 bytes, and now has 320,144\. Begin/,
    ],
    [
      'sends a few bytes each time, and nothing more',
      (_, response, { whole, begin, end }) => {
        response.writeHead(206, part(begin, end, whole.length));
        response.write(whole.subarray(begin, begin + 50));
        return true;
      },
      /sent nothing more for 0\.3 s, 4 times\. Try again later\.$/,
    ],
    [
      'packs what it sends',
      (_, response, { whole }) =>
        !!response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(whole)),
      /sends it packed with gzip, though it was asked not to\. Download it/,
    ],
    ...['file:///etc/hostname', 'data:text/plain,1', 'javascript:1', 'blob:http://x/1'].map(
      (location): (typeof lies)[number] => [
        `sends it to ${location}`,
        (_, response) => !!response.writeHead(302, { location }).end('1,2\n'),
        /rows\.npy cannot be read: \S+ redirects to (file|data|javascript|blob):, and only https and http are followed\.$/,
      ],
    ),
    [
      'sends it to what is no address',
      (_, response) => !!response.writeHead(307, { location: 'http://[' }).end(),
      /redirects to what is no address\.$/,
    ],
    [
      'sends it to an address with a password',
      (_, response) => !!response.writeHead(301, { location: 'https://me:secret@host.invalid/key' }).end(),
      /redirects to https:\/\/host\.invalid with a name or password, which are not sent\.$/,
    ],
    [
      'sends it round and round',
      (request, response) => !!response.writeHead(308, { location: request.url }).end(),
      /redirects more than 10 times\.$/,
    ],
    [
      'sends it to another address that is none',
      (_, response) => !!response.writeHead(302, { location: 'ftp://127.0.0.1/' }).end(),
      /cannot be read: 127\.0\.0\.1:\d+ redirects to ftp:\/\/127\.0\.0\.1, and only https and http are followed\.$/,
    ],
  ];
  it.each(lies)('that %s', async (_, own, sentence) => {
    trick = own;
    expect(await refusal('/rows.npy')).toMatch(sentence);
  });

  it('that floods is cut off at once, whatever it was asked for', async () => {
    trick = lies.find(([what]) => what.startsWith('sends more than the part'))![1];
    await refusal('/rows.npy');
    await expect.poll(() => flooding.destroyed).toBe(true);
    // What fits into the buffers of a connection.
    expect(flooded).toBeLessThan(2 ** 25);
    trick = (_, response) => flood(response.writeHead(200));
    const copying = () => decodeRows([() => urlFile(`${host}/rows.npy`, { ...quick, mostCopied: 2 ** 20 })]);
    expect(await failure(DataError, copying)).toMatch(
      /rows\.npy has more than 1,048,576 bytes, and its server does not send parts/,
    );
    await expect.poll(() => flooding.destroyed).toBe(true);
    expect(flooded).toBeLessThan(2 ** 25);
  });

  it('that sends one elsewhere, for each part', async () => {
    trick = (request, response) =>
      !request.url!.includes('elsewhere') &&
      !!response.writeHead(302, { location: `${request.url}?elsewhere` }).end('moved');
    expect(isMany(await read('/rows.npy'))).toBe(true);
    expect(asked.filter((path) => path.includes('elsewhere'))).toEqual([
      '/rows.npy?elsewhere bytes=0-65535',
      '/rows.npy?elsewhere bytes=65536-320127',
    ]);
  });

  it('that does not send parts of what is too much to copy', async () => {
    ranges = false;
    trick = (_, response) => {
      response.writeHead(200, { 'content-length': 2 ** 32 + 1 }).write('x');
      return true;
    };
    expect(await refusal('/rows.npy')).toMatch(
      /rows\.npy has 4,294,967,297 bytes, and its server does not send parts, so that all of it would be copied first: at most 4,294,967,296 are\. Download it/,
    );
  });

  it('that is not there, and addresses that are none', async () => {
    // A port that is never asked, however long one waits: the first attempt says it.
    const patient = { ...quick, retryDelay: 1e9 };
    const closed = () => decodeRows([() => urlFile('http://127.0.0.1:9/x.npy', patient)]);
    expect(await failure(DataError, closed)).toBe(
      'http://127.0.0.1:9/x.npy cannot be read: 127.0.0.1:9 failed (bad port).',
    );
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    gone.close();
    const nobody = () => decodeRows([() => urlFile(`http://127.0.0.1:${port}/x.npy`, quick)]);
    expect(await failure(DataError, nobody)).toMatch(/ refused the connection, 4 times\. Try again later\.$/);
    const named = () => decodeRows([() => urlFile(`${host.replace('//', '//me:secret@')}/rows.npy`, quick)]);
    expect(await failure(DataError, named)).toMatch(/rows\.npy was given with a name or password/);
    const { missing } = await findDataFiles(['s3://bucket/x.npy', 'file:///x.npy', `${host}/a?b=*.npy`]);
    expect(missing.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^s3:\/\/bucket\/x\.npy is not read: s3 is neither https nor http\./),
      expect.stringMatching(/^file:\/\/\/x\.npy is not read: file is neither/),
    ]);
    expect(await failure(DataError, () => readDataset('http://'))).toMatch(/is not an address on the web/);
  });
});
