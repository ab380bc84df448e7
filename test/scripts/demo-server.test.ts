import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type PreviewServer, preview } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';

const path = (from: string) => fileURLToPath(new URL(from, import.meta.url));
const page = readFileSync(path('../../src/web/index.html'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'sae-demo-'));
const site = join(folder, 'site');
mkdirSync(join(site, 'assets'), { recursive: true });
mkdirSync(join(folder, 'site-beside'));
writeFileSync(join(site, 'index.html'), page);
writeFileSync(join(site, 'assets/rows.npy'), 'rows');
const otherPolicy = "default-src 'none'; script-src 'sha256-AAAA'";
writeFileSync(
  join(site, 'assets/viewer.html'),
  `<meta http-equiv="Content-Security-Policy" content="${otherPolicy}" />`,
);
for (const secret of ['secret.txt', 'site-beside/secret.txt']) writeFileSync(join(folder, secret), 'secret');
symlinkSync(join(folder, 'secret.txt'), join(site, 'link.txt'));
symlinkSync(folder, join(site, 'up'), 'junction');
symlinkSync('rows.npy', join(site, 'assets/inside.npy'));

let server: PreviewServer;
let port: number;
beforeAll(async () => {
  const configFile = path('../../vite.config.ts');
  server = await preview({ configFile, logLevel: 'silent', build: { outDir: site }, preview: { port: 0 } });
  port = (server.httpServer.address() as AddressInfo).port;
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Asks for a path as it is written. */
function ask(
  target: string,
  { method = 'GET', host = `127.0.0.1:${port}`, headers = {} } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: target, method, headers: { ...headers, host } });
    asked.on('error', reject).on('response', async (response) => {
      resolve({ status: response.statusCode!, headers: response.headers, body: await text(response) });
    });
    asked.end();
  });
}

it('sends the page and what lies in its folder, to nobody else', async () => {
  expect(server.httpServer.address()).toMatchObject({ address: '127.0.0.1' });
  expect(await ask('/')).toMatchObject({ status: 200, body: page });
  expect(await ask('/?h_dims=3')).toMatchObject({ status: 200, body: page });
  for (const file of ['/assets/rows.npy', '/assets/inside.npy', '/assets/%72ows.npy']) {
    expect(await ask(file, { headers: { origin: 'http://localhost:1' } })).toMatchObject({
      status: 200,
      body: 'rows',
    });
  }
  expect(await ask('/assets/rows.npy', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
  const { headers } = await ask('/', { headers: { origin: 'http://localhost:1' } });
  expect(headers['access-control-allow-origin']).toBeUndefined();
});

it('every answer has the headers of the strict page, whose policy is the page’s own', async () => {
  const [, own] = /<meta\s+http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(page)!;
  expect(own).toMatch(/^default-src 'none'; script-src 'self'; /);
  expect(own).not.toMatch(/unsafe|data:|\*/);
  const answers = [
    ask('/'),
    ask('/assets/rows.npy'),
    ask('/nowhere'),
    ask('/link.txt'),
    ask('/', { method: 'POST' }),
    ask('/', { host: 'evil.example' }),
  ];
  for (const { headers } of await Promise.all(answers)) {
    expect(headers).toMatchObject({
      'content-security-policy': `${own}; frame-ancestors 'none'`,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
  }
});

it('another page in the folder has its own policy, and the other headers', async () => {
  for (const path of ['/assets/viewer.html', '/assets/viewer.html?x#y']) {
    expect((await ask(path)).headers).toMatchObject({
      'content-security-policy': `${otherPolicy}; frame-ancestors 'none'`,
      'cross-origin-opener-policy': 'same-origin',
    });
  }
});

it('answers to its own name alone', async () => {
  const own = ['localhost', 'localhost:8080', '127.0.0.1', '[::1]:4173', 'LOCALHOST'];
  for (const host of own) expect(await ask('/', { host })).toMatchObject({ status: 200 });
  const others = [
    'evil.example',
    `evil.example:${port}`,
    'localhost.evil.example',
    'evil.localhost',
    '127.0.0.1.evil.example',
    '192.0.2.1',
    '0.0.0.0',
    'localhost@evil.example',
    'file://localhost',
  ];
  for (const host of others) {
    const { status, body } = await ask('/assets/rows.npy', { host });
    expect([host, status, body.includes('rows')]).toEqual([host, 403, false]);
  }
  const nameless = connect(port, '127.0.0.1').end('GET /assets/rows.npy HTTP/1.0\r\n\r\n');
  expect(await text(nameless)).toMatch(/^HTTP\/1\.1 403 /);
});

it.each([
  '/../secret.txt',
  '/..%2fsecret.txt',
  '/%2e%2e/secret.txt',
  '/%2e%2e%2fsecret.txt',
  '/%252e%252e%252fsecret.txt',
  '/..%5csecret.txt',
  '/..\\secret.txt',
  '/assets/../../secret.txt',
  '/assets/..%2f..%2fsecret.txt',
  '/../site-beside/secret.txt',
  '/..%2fsite-beside/secret.txt',
  '//../secret.txt',
  '/link.txt',
  '/up/secret.txt',
  '/up/site-beside/secret.txt',
  '/%00/../secret.txt',
  '/secret.txt%00.html',
  '/%',
  '/@fs/etc/hostname',
  '/@fs/etc/hostname?raw',
  '/..%2f..%2f..%2f..%2fetc/hostname',
  'http://localhost/../secret.txt',
])('sends nothing from outside: %s', async (target) => {
  const { status, body } = await ask(target);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(body).not.toContain('secret');
});

it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'])('takes no %s', async (method) => {
  const { status, headers, body } = await ask('/assets/rows.npy', { method });
  expect([status, headers.allow, body.includes('rows')]).toEqual([405, 'GET, HEAD', false]);
});
