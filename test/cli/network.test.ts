import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, request } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { long } from '../support/long.js';
import { npy, objects, start, temporaryFolder } from './sae.js';

const tls = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const folder = temporaryFolder();
const rows = npy(
  [20_000, 4],
  Float32Array.from({ length: 4 * 20_000 }, (_, i) => Math.sin(i)),
);

const few = npy(
  [2_000, 15],
  Float32Array.from({ length: 30_000 }, (_, i) => Math.sin(i)),
);

const servers: Server[] = [];
async function listening<S extends Server>(server: S): Promise<readonly [S, number]> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return [server, (server.address() as AddressInfo).port];
}
afterAll(() => servers.forEach((server) => void server.close()));

/** Of each answer of the server of rows, where its part began. */
const parts: number[] = [];
let version = () => 1;
const serveRows: RequestListener = (request, response) => {
  if (request.url === '/to-http') return response.writeHead(302, { location: plain('/rows.npy') }).end();
  if (request.url === '/to-https') return response.writeHead(302, { location: secure('/rows.npy') }).end();
  const body = request.url === '/few.npy' ? few : rows;
  const [begin, last] = /\d+-\d+/.exec(request.headers.range!)![0].split('-').map(Number);
  const end = Math.min(last + 1, body.length);
  parts.push(begin);
  const headers = { etag: `"${version()}"`, 'content-range': `bytes ${begin}-${end - 1}/${body.length}` };
  response.writeHead(206, headers).end(body.subarray(begin, end));
};
const [, plainPort] = await listening(createServer(serveRows));
const [, securePort] = await listening(
  createSecureServer({ key: readFileSync(tls('key.pem')), cert: readFileSync(tls('cert.pem')) }, serveRows),
);
const plain = (path: string) => `http://127.0.0.1:${plainPort}${path}`;
const secure = (path: string) => `https://127.0.0.1:${securePort}${path}`;

/** What the proxy was asked, with the password that it was given. */
const asked: string[] = [];
let refuses: number | 'silently' | 'never' | undefined;
const [proxy, proxyPort] = await listening(
  createServer((incoming, response) => {
    asked.push(`GET ${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim());
    if (typeof refuses === 'number') return response.writeHead(refuses).end();
    const { pathname } = new URL(incoming.url!);
    const { range } = incoming.headers;
    request({ port: plainPort, path: pathname, headers: { ...(range && { range }) } }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    }).end();
  }),
);
proxy.on('connect', (incoming, socket) => {
  asked.push(`CONNECT ${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim());
  if (refuses === 'never') return socket.on('error', () => {});
  if (refuses === 'silently') return socket.destroy();
  if (refuses !== undefined) return socket.end(`HTTP/1.1 ${refuses} No\r\n\r\n`);
  const onwards = connect(securePort, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  socket.on('error', () => onwards.destroy()).pipe(onwards);
  onwards.on('error', () => socket.destroy()).pipe(socket);
});
const address = `http://127.0.0.1:${proxyPort}`;

beforeEach(() => {
  parts.length = 0;
  asked.length = 0;
  refuses = undefined;
  version = () => 1;
});

const none = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].map((name) => [
    name,
    '',
  ]),
);
/** `sae` in a process of its own, which trusts the server's certificate, in a new folder. */
async function run(args: readonly string[], env: Record<string, string> = {}) {
  const cwd = folder.make();
  const own = { NODE_EXTRA_CA_CERTS: tls('cert.pem'), ...none, ...env };
  const result = await start(args, { cwd, env: own }).ended;
  return { ...result, cwd };
}
const look = (url: string, env = {}) => run(['rows', url, '--json'], env);

async function isRead(url: string, env = {}): Promise<void> {
  const { status, stdout, stderr } = await look(url, env);
  expect([status, stderr]).toEqual([0, '']);
  expect(objects(stdout)[0]).toMatchObject({ rows: 20_000, in_dims: 4 });
}

async function isRefused(url: string, env: Record<string, string>, status = 1): Promise<string> {
  const result = await look(url, env);
  expect([result.status, result.stdout]).toEqual([status, '']);
  expect(result.stderr).toMatch(/^[^\n]+\.\n$/);
  return result.stderr.slice('sae: '.length, -1);
}

describe('a server', () => {
  it('with https may lead to https, and one with http to both', async () => {
    await Promise.all([secure('/to-https'), plain('/to-https'), plain('/to-http')].map((url) => isRead(url)));
  });

  it('with https does not lead to http', async () => {
    expect(await isRefused(secure('/to-http'), {})).toBe(
      `${secure('/to-http')} cannot be read: 127.0.0.1:${securePort} redirects to http://127.0.0.1:${plainPort}, and from https ` +
        'only https is followed.',
    );
    expect(parts).toEqual([]);
  });

  it('whose certificate nobody has signed is refused', async () => {
    expect(await isRefused(secure('/rows.npy'), { NODE_EXTRA_CA_CERTS: '' })).toMatch(
      /cannot be read: 127\.0\.0\.1:\d+ failed \(self-signed certificate/,
    );
  });

  it.runIf(long)(
    'whose file changes while a model is trained ends the training before a step takes what changed',
    async () => {
      const model = ['--h_dims', '3', '--batch_size', '200', '--epochs', '5', '--save_model'];
      const args = ['train', '--data', plain('/few.npy'), '--window', '60KB', '--json', ...model];
      const train = (cwd: string) => start(args, { cwd, env: none });
      const whole = await train(folder.make()).ended;
      expect(whole.status).toBe(0);

      const cwd = folder.make();
      const running = train(cwd);
      await running.says(/"epoch":2,/);
      version = () => 2;
      const { status, stdout, stderr } = await running.ended;
      expect(stderr).toMatch(
        /few\.npy was changed while it was read: .* is another version \("2", before "1"\)\. Begin again when it is complete\.\n$/,
      );
      expect(status).toBe(1);
      const losses = (said: string) => objects(said).flatMap(({ epoch, loss }) => (epoch ? [loss] : []));
      const done = losses(stdout);
      expect(done.length).toBeGreaterThan(1);
      expect(done.length).toBeLessThan(5);
      expect(done).toEqual(losses(whole.stdout).slice(0, done.length));
    },
  );
});

describe('the proxy of the environment', () => {
  it('is asked for https by a tunnel, and for http by address', async () => {
    await isRead('https://rows.invalid/rows.npy', { https_proxy: address });
    expect(new Set(asked)).toEqual(new Set(['CONNECT rows.invalid:443']));
    asked.length = 0;
    await isRead('http://rows.invalid/rows.npy', { http_proxy: address.replace('//', '//me:secret@') });
    expect(new Set(asked)).toEqual(
      new Set([`GET http://rows.invalid/rows.npy Basic ${Buffer.from('me:secret').toString('base64')}`]),
    );
  });

  it.runIf(long)('is not asked for what NO_PROXY names', async () => {
    await isRead(plain('/rows.npy'), { http_proxy: address, no_proxy: 'localhost,127.0.0.1' });
    await isRead(secure('/rows.npy'), { https_proxy: address, no_proxy: '*' });
    expect(asked).toEqual([]);
  });

  it.runIf(long)('that refuses is named, without its password', async () => {
    refuses = 407;
    const https_proxy = address.replace('//', '//me:secret@');
    const sentence = (url: string, name: string) =>
      `${url} cannot be read: rows.invalid was not asked: the proxy answered 407 (${name} is 127.0.0.1:${proxyPort}).`;
    expect(await isRefused('https://rows.invalid/rows.npy', { https_proxy })).toBe(
      sentence('https://rows.invalid/rows.npy', 'https_proxy'),
    );
    expect(await isRefused('http://rows.invalid/rows.npy', { http_proxy: address })).toBe(
      sentence('http://rows.invalid/rows.npy', 'http_proxy'),
    );
    // Downloads take the same way.
    const mnist = ['train', '--dataset', 'mnist', '--data_dir', folder.make()];
    expect((await run(mnist, { https_proxy })).stderr).toMatch(
      /could not be downloaded: \S+amazonaws\.com was not asked: the proxy answered 407 \(https_proxy is 127\S+\); \S+googleapis\.com was/,
    );
  });

  it.runIf(long)('that is gone, or hangs up, is named after some attempts', async () => {
    refuses = 'silently';
    const silent = isRefused('https://rows.invalid/rows.npy', { https_proxy: address });
    const gone = isRefused('http://rows.invalid/rows.npy', { http_proxy: 'http://127.0.0.1:1' });
    expect(await silent).toMatch(
      /: rows\.invalid cut the connection \(https_proxy is \S+\), 4 times\. Try again later\.$/,
    );
    expect(await gone).toMatch(
      /: rows\.invalid refused the connection \(http_proxy is 127\.0\.0\.1:1\), 4 times\./,
    );
    expect(asked.length).toBe(4);
  });

  it.runIf(long)('that never answers keeps no process', async () => {
    refuses = 'never';
    const module = new URL('../../dist/node/data/url-file.js', import.meta.url);
    const code = `
      const { urlFile } = await import(${JSON.stringify(module)});
      const quick = { connectTimeout: 300, retryDelay: 1 };
      await urlFile('https://rows.invalid/x', quick).catch(({ message }) => console.log(message));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, ...none, https_proxy: address },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [[status], said] = await Promise.all([once(child, 'exit'), text(child.stdout)]);
    expect(said).toMatch(/rows\.invalid did not answer within 0\.3 s, 4 times\. Try again later\.\n$/);
    expect(status).toBe(0);
    // The first 0.3 s may have gone into loading undici.
    expect(asked.length).toBeGreaterThan(1);
  });

  it.runIf(long)('must be an address', async () => {
    for (const http_proxy of ['127.0.0.1:3128', 'socks5://127.0.0.1:1080']) {
      expect(await isRefused(plain('/rows.npy'), { http_proxy }, 2)).toBe(
        "The environment's http_proxy is no address of an http proxy; expected http://HOST:PORT. Correct it, or unset it.",
      );
    }
  });
});
