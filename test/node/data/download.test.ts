import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type DownloadOptions, download } from '../../../src/node/data/download.js';
import { DataError } from '../../../src/sae/errors.js';
import { long } from '../../support/long.js';
import { failure, temporaryFolder } from './folder.js';
import * as mirrors from './mirror.js';

const content = randomBytes(300_000);
const pinned = mirrors.pin('digits.gz', content);
const temporary = temporaryFolder();
const first = await mirrors.startMirror({ 'digits.gz': content });
const second = await mirrors.startMirror({ 'digits.gz': content });
const both = [first, second];

/** The pid of a process that has ended. */
const ended = await new Promise<number>((done) => {
  const child = spawn(process.execPath, ['-e', '']);
  child.on('exit', () => done(child.pid!));
});

let folders = 0;
/** A new folder, with mirrors that answer like this. */
function setting(one: mirrors.Answer, other: mirrors.Answer = mirrors.serve) {
  first.answer = one;
  second.answer = other;
  for (const { requests } of both) requests.length = 0;
  const folder = join(temporary.path, `cache-${folders++}`);
  const get = (options: Partial<DownloadOptions> = {}) =>
    download(pinned, {
      folder,
      mirrors: both.map(({ url }) => url),
      connectTimeout: 5_000,
      idleTimeout: 5_000,
      ...options,
    });
  const leave = (name: string, bytes: Uint8Array) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), bytes);
  };
  return { folder, get, leave, part: `digits.gz.${process.pid}.part`, file: join(folder, 'digits.gz') };
}

/** Nothing but the right file is left. */
function expectWhole(folder: string) {
  expect(readdirSync(folder)).toEqual(['digits.gz']);
  expect(readFileSync(join(folder, 'digits.gz')).equals(content)).toBe(true);
}

describe('download', () => {
  it('gets the file from the first mirror, reports how far it is, and then uses what is there', async () => {
    const { folder, get, file } = setting(mirrors.serve);
    const progress: number[] = [];
    const onProgress = (name: string, done: number, bytes: number) => {
      expect([name, bytes]).toEqual(['digits.gz', content.length]);
      progress.push(done);
    };
    expect(await get({ onProgress })).toBe(file);
    expectWhole(folder);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(content.length);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(await get()).toBe(file);
    expect(first.requests).toEqual(['/files/digits.gz']);
    expect(second.requests).toEqual([]);
  });

  it.each([
    ['answers 404', mirrors.fail(404), false],
    ['answers 500', mirrors.fail(500), false],
    ['cuts the connection half-way', mirrors.cutHalfWay, true],
    ['sends wrong bytes', mirrors.wrongBytes, false],
    ['sends too many bytes', mirrors.tooManyBytes, false],
    ['ends too soon', mirrors.tooFewBytes, true],
    ['sends some other page', mirrors.someOtherPage, false],
    ['leads to a file of this machine', mirrors.lead('file:///etc/hostname'), false],
    ['leads round and round', mirrors.lead(''), false],
  ])('goes to the second mirror where the first %s', async (_, answer, resumes) => {
    const { folder, get } = setting(answer);
    await get();
    expectWhole(folder);
    expect(new Set(first.requests).size).toBe(1);
    expect(second.requests.length).toBe(1);
    expect(second.requests[0].includes('bytes=')).toBe(resumes);
  });

  it('goes to the second mirror where the first stalls, or never answers', async () => {
    const stalled = setting(mirrors.stallHalfWay);
    await stalled.get({ idleTimeout: 500 });
    expectWhole(stalled.folder);
    expect(second.requests[0]).toMatch(/^\/files\/digits\.gz bytes=\d+-$/);
    const silent = setting(mirrors.neverAnswer);
    // Long enough for the second mirror to answer on a busy machine.
    await silent.get({ connectTimeout: 1_000 });
    expectWhole(silent.folder);
  });

  it('names each mirror and what happened there where none has it', async () => {
    const port = (url: string) => new URL(url).host;
    const { folder, get } = setting(mirrors.fail(404), mirrors.wrongBytes);
    expect(await failure(DataError, () => get())).toBe(
      `digits.gz could not be downloaded: ${port(first.url)} answered 404 Not Found; ${port(second.url)} sent wrong bytes ` +
        '(their SHA-256 differs from the known one).',
    );
    expect(readdirSync(folder)).toEqual([]);

    const dead = await mirrors.deadMirror();
    const gone = ['http://no-such-host.invalid/', dead];
    const message = await failure(DataError, () => get({ mirrors: gone }));
    expect(message).toMatch(/no-such-host\.invalid (is not known by name here|did not answer)/);
    expect(message).toMatch(`${port(dead)} refused the connection`);

    setting(mirrors.neverAnswer, mirrors.stallHalfWay);
    const slow = await failure(DataError, () => get({ connectTimeout: 200, idleTimeout: 200 }));
    expect(slow).toMatch(/did not answer within 0\.2 s; .* sent nothing more for 0\.2 s\.$/);
    setting(mirrors.cutHalfWay, mirrors.tooFewBytes);
    expect(await failure(DataError, () => get())).toMatch(
      / cut the connection; .* stopped after 299,990 of 300,000 bytes\.$/,
    );
    setting(mirrors.tooManyBytes, mirrors.someOtherPage);
    expect(await failure(DataError, () => get())).toMatch(
      /sent more than the 300,000 bytes .* offers a file of 11 bytes/,
    );
  });

  it('follows a mirror to where it leads', async () => {
    const { folder, get, leave, part } = setting(mirrors.lead(new URL('digits.gz', second.url).href));
    leave(part, content.subarray(0, 1000));
    await get();
    expectWhole(folder);
    expect(second.requests).toEqual(['/files/digits.gz bytes=1000-']);
    const wrong = setting(mirrors.lead('ftp://host.invalid/digits.gz'), mirrors.lead('data:,1'));
    expect(await failure(DataError, () => wrong.get())).toMatch(
      /: \S+ redirects to ftp:\/\/host\.invalid, and only https and http are followed; \S+ redirects to data:, and only/,
    );
  });

  it('goes on where an earlier attempt stopped', async () => {
    const { folder, get, part } = setting(mirrors.cutHalfWay, mirrors.fail(500));
    await failure(DataError, () => get());
    expect(readdirSync(folder)).toEqual([part]);
    const length = statSync(join(folder, part)).size;
    expect(length).toBeGreaterThan(0);
    expect(length).toBeLessThan(content.length);
    first.answer = mirrors.serve;
    first.requests.length = 0;
    const progress: number[] = [];
    await get({ onProgress: (_, done) => progress.push(done) });
    expectWhole(folder);
    expect(first.requests).toEqual([`/files/digits.gz bytes=${length}-`]);
    expect(progress[0]).toBe(length);
  });

  it('takes over the part file of a process that has ended, not that of one that runs', async () => {
    const { folder, get, leave } = setting(mirrors.serve);
    leave(`digits.gz.${ended}.part`, content.subarray(0, 1000));
    leave(`digits.gz.${process.ppid}.part`, content.subarray(0, 2000));
    leave(`other.gz.${ended}.part`, content.subarray(0, 3000));
    await get();
    expect(first.requests).toEqual(['/files/digits.gz bytes=1000-']);
    expect(readdirSync(folder).sort()).toEqual(
      ['digits.gz', `digits.gz.${process.ppid}.part`, `other.gz.${ended}.part`].sort(),
    );
  });

  it('starts again where the server ignores Range', async () => {
    const { folder, get, leave, part } = setting(mirrors.ignoreRange);
    leave(part, content.subarray(0, 1000));
    await get();
    expectWhole(folder);
    expect(first.requests).toEqual(['/files/digits.gz bytes=1000-']);
    expect(second.requests).toEqual([]);
  });

  it('starts again where the server refuses the range, or sends another', async () => {
    const refusing: mirrors.Answer = (response, body, range) =>
      range === undefined ? mirrors.serve(response, body, range) : response.writeHead(416).end();
    const shifting: mirrors.Answer = (response, body, range) =>
      mirrors.serve(response, body, range === undefined ? range : range + 1);
    for (const answer of [refusing, shifting]) {
      const { folder, get, leave, part } = setting(answer);
      leave(part, content.subarray(0, 1000));
      await get();
      expectWhole(folder);
      expect(first.requests).toEqual(['/files/digits.gz bytes=1000-', '/files/digits.gz']);
    }
  });

  it('a part file that is wrong, too long or already whole costs no mirror', async () => {
    const wrong = setting(mirrors.serve);
    wrong.leave(wrong.part, Buffer.alloc(1000));
    await wrong.get();
    expectWhole(wrong.folder);
    expect(first.requests).toEqual(['/files/digits.gz bytes=1000-', '/files/digits.gz']);

    const long = setting(mirrors.serve);
    long.leave(long.part, Buffer.concat([content, content]));
    await long.get();
    expectWhole(long.folder);
    expect(first.requests).toEqual(['/files/digits.gz']);

    const whole = setting(mirrors.serve);
    whole.leave(whole.part, content);
    await whole.get();
    expectWhole(whole.folder);
    expect(first.requests).toEqual([]);
    expect(second.requests).toEqual([]);
  });

  it.each([
    ['of another length', content.subarray(1)],
    ['of the right length with one bit wrong', Buffer.concat([content.subarray(1), content.subarray(0, 1)])],
    ['that is empty', Buffer.alloc(0)],
  ])('a file in the cache %s is downloaded again', async (_, bytes) => {
    const { folder, get, leave } = setting(mirrors.serve);
    leave('digits.gz', bytes);
    await get();
    expectWhole(folder);
    expect(first.requests.length).toBe(1);
  });

  it('keeps the old file where the new one cannot be had', async () => {
    const { get, leave, file } = setting(mirrors.fail(500), mirrors.fail(500));
    leave('digits.gz', Buffer.from('old'));
    await failure(DataError, () => get());
    expect(readFileSync(file, 'utf8')).toBe('old');
  });

  it('stops when told to, with the reason it was given, and keeps what it has', async () => {
    const { folder, get, part } = setting(mirrors.stallHalfWay);
    const stop = new AbortController();
    const reason = new Error('Ctrl-C');
    const onProgress = (_: string, done: number) => done === content.length / 2 && stop.abort(reason);
    await expect(
      get({ signal: stop.signal, onProgress: onProgress as DownloadOptions['onProgress'] }),
    ).rejects.toBe(reason);
    expect(second.requests).toEqual([]);
    expect(statSync(join(folder, part)).size).toBe(content.length / 2);
    await expect(get({ signal: stop.signal })).rejects.toBe(reason);
    first.answer = mirrors.serve;
    await get();
    expectWhole(folder);
  });

  it('two at once in one process ask once', async () => {
    const { folder, get } = setting(mirrors.serve);
    await Promise.all([get(), get(), get()]);
    expectWhole(folder);
    expect(first.requests.length).toBe(1);
  });

  it.runIf(long)('another process that is at it at the same time, and is killed, does no harm', async () => {
    // Each gets the first half at once and the second when both have asked: both are at it together.
    let open = () => {};
    let bothAsked: Promise<void>;
    const together: mirrors.Answer = async (response, body, range = 0) => {
      const headers = { 'content-range': `bytes ${range}-${body.length - 1}/${body.length}` };
      const length = { 'content-length': body.length - range };
      response.writeHead(range > 0 ? 206 : 200, { ...length, ...(range > 0 && headers) });
      if (first.requests.length === 2) open();
      const middle = Math.max(range, body.length / 2);
      response.write(body.subarray(range, middle));
      await bothAsked;
      response.end(body.subarray(middle));
    };
    const { folder, get } = setting(together);
    // The sources are TypeScript: the other process loads them by way of Vite.
    const code = `
      import { createServer } from 'vite';
      const vite = await createServer({
        configFile: false, logLevel: 'silent', appType: 'custom',
        server: { middlewareMode: true, ws: false, watch: null }, optimizeDeps: { noDiscovery: true },
      });
      const { download } = await vite.ssrLoadModule('/src/node/data/download.ts');
      await download(${JSON.stringify(pinned)}, {
        mirrors: ${JSON.stringify([first.url])}, folder: ${JSON.stringify(folder)},
        onProgress: (name, done) => done > 0 && process.stdout.write('.'),
      });
      process.exit(0);`;
    const cwd = fileURLToPath(new URL('../../..', import.meta.url));
    for (const kill of [false, true]) {
      first.requests.length = 0;
      bothAsked = new Promise((asked) => {
        open = asked;
      });
      const args = ['--input-type=module', '-e', code];
      const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = new Promise<number | null>((done) => child.on('exit', done));
      await Promise.race([exit, new Promise((started) => child.stdout.once('data', started))]);
      const mine = get();
      if (kill) child.kill('SIGKILL');
      await mine;
      expect(readFileSync(join(folder, 'digits.gz')).equals(content)).toBe(true);
      expect(await exit).toBe(kill ? null : 0);
      expect(first.requests.length).toBe(2);
      // What the killed one left is taken up by the next that needs it.
      writeFileSync(join(folder, 'digits.gz'), 'spoilt');
    }
    await get();
    expectWhole(folder);
  });

  it('says so where the cache folder cannot be written, and blames no mirror', async () => {
    const { get } = setting(mirrors.serve);
    const message = await failure(DataError, () =>
      get({ folder: join(temporary.write('file', ''), 'below') }),
    );
    expect(message).toMatch(
      /^The folder .*below for downloaded data cannot be written: .*Choose another with data_dir\.$/,
    );
    expect(first.requests).toEqual([]);
    expect(second.requests).toEqual([]);

    const blocked = setting(mirrors.serve);
    mkdirSync(join(blocked.folder, blocked.part), { recursive: true });
    expect(await failure(DataError, () => blocked.get())).toMatch(
      /for downloaded data cannot be written: it is a folder/,
    );
    expect(second.requests).toEqual([]);
  });
});
