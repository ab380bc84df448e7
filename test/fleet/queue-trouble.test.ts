import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { addressOf, cable, on } from '../../scripts/fleet/network.mjs';
import { EngineError } from '../../src/gpu/errors.js';
import { openQueue } from '../../src/node/queue/queue.js';
import { ConfigError } from '../../src/sae/errors.js';
import {
  clientOfTest,
  lock,
  programs,
  queueOfTest,
  serverOfTest,
  takeSoon,
  workerOfTest,
} from './support.js';

const long = (id: string, milliseconds: number) => ({ id, data: { milliseconds } });
const machines = process.env.SAE_FLEET_MACHINES?.split(' ');

describe.each(programs)('%s', (_, program) => {
  test('what a killed worker had goes to another one, when its lock has run out', async () => {
    const { url } = await serverOfTest(program);
    const queue = await queueOfTest(url);
    await queue.add([long('a', 600_000)]);
    const worker = await workerOfTest(url);
    await worker.line(({ took }) => took === 'a');
    await worker.line(({ renewed }) => renewed);
    worker.child.kill('SIGKILL');
    const other = await workerOfTest(url);
    expect(await other.line(({ took }) => took === 'a')).toEqual({ took: 'a', attempts: 1 });
    await other.line(({ renewed, kept }) => renewed && kept);
  });

  test('a worker that is killed again and again does not make the job fail', async () => {
    const { url } = await serverOfTest(program);
    const queue = await queueOfTest(url);
    await queue.add([long('a', 600_000)]);
    for (let attempts = 0; attempts < 5; attempts++) {
      const worker = await workerOfTest(url);
      expect(await worker.line(({ took }) => took)).toEqual({ took: 'a', attempts });
      worker.child.kill('SIGKILL');
    }
    expect(await takeSoon(queue)).toMatchObject({ id: 'a', attempts: 5 });
    // BullMQ's own mark of one that fails for it.
    expect(await clientOfTest(url).hget('bull:sae:a', 'defa')).toBeNull();
  });

  test('a worker that slept past its lock has lost the job, and what it says of it has no effect', async () => {
    const { url } = await serverOfTest(program);
    const queue = await queueOfTest(url);
    await queue.add([long('a', 20_000)]);
    const worker = await workerOfTest(url);
    await worker.line(({ renewed }) => renewed);
    worker.child.kill('SIGSTOP');
    const job = await takeSoon(queue);
    expect(job).toMatchObject({ id: 'a', attempts: 1 });
    worker.child.kill('SIGCONT');
    const kept = setInterval(() => job.renew(), lock / 4);
    onTestFinished(() => clearInterval(kept));
    // Its `done` comes after that.
    expect(await worker.line(({ ended }) => ended === 'a')).toEqual({ ended: 'a', kept: false });
    expect(await queue.state()).toMatchObject({ active: 1, done: 0 });
    expect(await job.renew()).toBe(true);
    await job.done();
    expect(await queue.state()).toMatchObject({ active: 0, done: 1, failed: 0 });
  });

  test('a server that is killed comes back with what was added and what is in work', async () => {
    const server = await serverOfTest(program);
    const queue = await queueOfTest(server.url);
    await queue.add(Array.from({ length: 50 }, (_, at) => long(`j${at}`, 1)));
    const job = await takeSoon(queue);
    await server.stop('SIGKILL');
    expect(await job.renew()).toBe(true);
    const added = queue.add([long('late', 1)]);
    await server.start();
    await added;
    expect(await job.renew()).toBe(true);
    await job.done();
    const seen = [];
    for (let at = 0; at < 50; at++) {
      const next = await takeSoon(queue);
      seen.push(next.id);
      await next.done();
    }
    expect(new Set(seen)).toEqual(new Set([...Array.from({ length: 49 }, (_, at) => `j${at + 1}`), 'late']));
    expect(await queue.state()).toEqual({ waiting: 0, active: 0, done: 51, failed: 0, paused: false });
  });

  test('a server that comes back empty knows no jobs: their workers learn it, and they are added again', async () => {
    const server = await serverOfTest(program, { settings: { appendonly: 'no' } });
    const notes: string[] = [];
    const queue = await queueOfTest(server.url, (note) => notes.push(note));
    expect(notes).toEqual([expect.stringContaining('keeps its jobs in memory only')]);
    const jobs = [long('a', 1), long('b', 1)];
    await queue.add(jobs);
    const job = await takeSoon(queue);
    await server.stop('SIGKILL');
    await server.start();
    // True as long as there is no connection.
    await expect.poll(() => job.renew()).toBe(false);
    await job.done();
    expect(await queue.state()).toEqual({ waiting: 0, active: 0, done: 0, failed: 0, paused: false });
    await queue.add(jobs);
    const again = [await takeSoon(queue), await takeSoon(queue)];
    expect(again.map(({ id, attempts }) => [id, attempts])).toEqual([
      ['a', 0],
      ['b', 0],
    ]);
    for (const one of again) await one.done();
    expect(await queue.state()).toMatchObject({ done: 2 });
  });

  test('a server that is silent for a while: jobs are kept as long as their locks, and none is lost', async () => {
    const server = await serverOfTest(program);
    const notes: string[] = [];
    const queue = await queueOfTest(server.url, (note) => notes.push(note));
    await queue.add([long('a', 1)]);
    const job = await takeSoon(queue);
    process.kill(server.pid(), 'SIGSTOP');
    const taking = takeSoon(queue, 60);
    const added = queue.add([long('b', 1)]).catch((error) => error);
    // Commands time out before the lock does.
    expect(await job.renew()).toBe(true);
    await expect.poll(() => job.renew(), { timeout: 20_000 }).toBe(false);
    // Asked for as long as a lock lasts; what became of it is not known then.
    expect([await added]).toEqual([expect.any(EngineError)]);
    expect((await added).message).toMatch(/does not answer: .* It can be asked again\./);
    process.kill(server.pid(), 'SIGCONT');
    await queue.add([long('b', 1)]);
    const seen = [await taking, await takeSoon(queue, 60)];
    expect(seen.map(({ id }) => id).sort()).toEqual(['a', 'b']);
    for (const one of seen) await one.done();
    expect(await queue.state()).toMatchObject({ waiting: 0, active: 0, done: 2 });
    expect(notes.filter((note) => note.includes('gives no jobs'))).not.toEqual([]);
  });

  test('what was asked while the server was gone is not carried out afterwards, when nobody waits for it', async () => {
    const server = await serverOfTest(program);
    const queue = await queueOfTest(server.url);
    const ids = ['a', 'b', 'c', 'd', 'e'];
    await queue.add(ids.map((id) => long(id, 1)));
    await server.stop('SIGKILL');
    for (let at = 0; at < 4; at++) expect(await queue.take(AbortSignal.timeout(lock / 4))).toBeUndefined();
    await server.start();
    for (const id of ids) expect(await takeSoon(queue)).toMatchObject({ id, attempts: 0 });
  });

  test('a connection that swallows everything is given up for a new one', async () => {
    const server = await serverOfTest(program);
    const swallowing = new Set<Socket>();
    const through = createServer((socket) => {
      const to = connect(server.port, '127.0.0.1');
      for (const [one, other] of [
        [socket, to],
        [to, socket],
      ]) {
        one.on('data', (bytes) => swallowing.has(socket) || other.write(bytes));
        one.on('error', () => {}).on('close', () => other.destroy());
      }
      sockets.push(socket);
    }).listen(0, '127.0.0.1');
    const sockets: Socket[] = [];
    await new Promise((resolve) => through.once('listening', resolve));
    onTestFinished(() => void through.close());
    const { port } = through.address() as { port: number };
    const queue = await queueOfTest(server.url.replace(`:${server.port}`, `:${port}`));
    await queue.add([long('a', 1)]);
    for (const socket of sockets) swallowing.add(socket);
    const job = await takeSoon(queue);
    expect(job.id).toBe('a');
    await job.done();
    expect(await queue.state()).toMatchObject({ done: 1 });
  });

  test('a server with full memory refuses jobs and keeps those that it has', async () => {
    const server = await serverOfTest(program);
    // With the usual lock, and so more patience: filling a server takes a busy machine a while.
    const queue = await openQueue(server.url);
    onTestFinished(() => queue.close());
    await queue.add([long('a', 1)]);
    const client = clientOfTest(server.url);
    await client.config('SET', 'maxmemory', '3mb');
    const fill = async () => {
      for (let at = 0; ; at++) {
        const jobs = Array.from({ length: 500 }, (_, n) => ({
          id: `f${at}-${n}`,
          data: { text: 'x'.repeat(2000) },
        }));
        await queue.add(jobs);
      }
    };
    const error = await fill().catch((error) => error);
    expect(error).toBeInstanceOf(EngineError);
    expect(error.message).toMatch(/^The memory of the queue redis:\/\/127\.0\.0\.1:\d+ is full\./);
    await client.config('SET', 'maxmemory', '0');
    const { waiting } = await queue.state();
    expect(waiting).toBeGreaterThanOrEqual(1);
    expect((await takeSoon(queue)).id).toBe('a');
  });

  test('closing does not wait for a server that is gone or silent', async () => {
    const server = await serverOfTest(program);
    const open = async () => {
      const queue = await openQueue(server.url, { lock });
      await queue.add([long('a', 1)]);
      const waiting = queue.take(new AbortController().signal);
      return { queue, waiting };
    };
    const [silent, gone] = [await open(), await open()];
    const closes = ({ queue, waiting }: typeof silent) =>
      Promise.race([
        Promise.all([queue.close(), waiting]).then(() => 'closed'),
        pause(20_000, 'hangs', { ref: false }),
      ]);
    process.kill(server.pid(), 'SIGSTOP');
    const one = closes(silent);
    expect(await one).toBe('closed');
    process.kill(server.pid(), 'SIGCONT');
    await server.stop('SIGKILL');
    expect(await closes(gone)).toBe('closed');
  });

  test('what keeps a queue from being opened is said, without its password', async () => {
    const { port, url, tls, unix } = await serverOfTest(program, {
      settings: { bind: '127.0.0.1 127.0.0.2' },
    });
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    onTestFinished(() => void silent.close());
    const { port: silentPort } = silent.address() as { port: number };
    const cases: readonly (readonly [string, typeof EngineError, RegExp])[] = [
      [`redis://127.0.0.1:${port}`, ConfigError, /wants a password/],
      [`redis://:wrong@127.0.0.1:${port}`, ConfigError, /refuses the user name or the password/],
      [
        `redis://bob:s3cret@127.0.0.1:${port}`,
        ConfigError,
        /^The queue redis:\/\/bob@127.* refuses the user name/,
      ],
      [`${url}/99`, ConfigError, /has no database 99/],
      [`${url}/one`, ConfigError, /number of the queue's database is "one"/],
      [url.replace('redis:', 'rediss:'), EngineError, /no answer within 10 s.* does it speak TLS/],
      [tls.replace('rediss:', 'redis:'), EngineError, /was reset\. Does it want TLS there\?.* rediss:/],
      [tls.replace('localhost', '127.0.0.2'), ConfigError, /certificate of the queue .* is not accepted/],
      [`redis://:s3cret@127.0.0.1:${silentPort}`, EngineError, /no answer within 10 s/],
      ['redis://:s3cret@127.0.0.1:1', EngineError, /the connection was refused/],
      ['redis://:s3cret@nowhere.invalid', EngineError, /cannot be reached: .*(host|name)/],
      [`${unix}2`, EngineError, /there is no such socket/],
      ['redis://:s3cret%@127.0.0.1', ConfigError, /%25/],
      ['redis://:s3cret@127.0.0.1:port', ConfigError, /is not a URL/],
      ['amqp://:s3cret@127.0.0.1', ConfigError, /begins with amqp/],
    ];
    const password = /s3cret|s%C3|sécret|wrong/;
    await Promise.all(
      cases.map(async ([address, type, sentence]) => {
        const error = await openQueue(address, { lock }).then(
          () => new Error(`${address} was opened`),
          (error) => error,
        );
        expect.soft(error.message).toMatch(sentence);
        expect.soft(error).toBeInstanceOf(type);
        expect.soft(error.message).not.toMatch(password);
      }),
    );
  });

  test('settings with which jobs would be lost are refused', async () => {
    const server = await serverOfTest(program);
    const client = clientOfTest(server.url);
    const refused = async (sentence: RegExp, url = server.url) => {
      const error = await openQueue(url, { lock }).then(
        () => new Error('it was opened'),
        (error) => error,
      );
      expect(error.message).toMatch(sentence);
      expect(error).toBeInstanceOf(ConfigError);
    };
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await refused(/maxmemory-policy allkeys-lru.* Set maxmemory-policy to noeviction/);
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    await client.hset('bull:sae:meta', 'version', 'bullmq:5.81.5');
    await refused(/was made with BullMQ 5\.81\.5, and this is BullMQ 6\./);
    await client.hset('bull:sae:meta', 'version', 'bullmq:6.0.0');
    await (await openQueue(server.url, { lock })).close();
    await client.acl('SETUSER', 'reader', 'on', '>s3cret', '~*', '+@read', '+ping');
    await refused(/does not allow its user what is needed/, server.url.replace(/:[^@/]*@/, 'reader:s3cret@'));
    await client.replicaof('127.0.0.1', 1);
    await refused(/is a replica/);
    const cluster = await serverOfTest(program, { settings: { 'cluster-enabled': 'yes' } });
    await refused(/in the mode cluster/, cluster.url);
  });

  test.skipIf(!machines)(
    'a worker that is cut off loses its job to another one, and learns it when the network is back',
    async () => {
      const [home, cut, near] = machines ?? [];
      const { url, unix } = await serverOfTest(program, { host: addressOf(0), prefix: on(home) });
      // By the server's socket, which is no network.
      const queue = await queueOfTest(unix);
      await queue.add([long('a', 25_000)]);
      const one = await workerOfTest(url, { prefix: on(cut) });
      await one.line(({ renewed }) => renewed);
      onTestFinished(() => cable(cut, 'up'));
      cable(cut, 'down');
      const two = await workerOfTest(url, { prefix: on(near) });
      expect(await two.line(({ took }) => took)).toEqual({ took: 'a', attempts: 1 });
      cable(cut, 'up');
      expect(await one.line(({ ended }) => ended)).toEqual({ ended: 'a', kept: false });
      expect(await queue.state()).toMatchObject({ active: 1, done: 0 });
      await queue.add([long('b', 1)]);
      // The one that was cut off goes on with others.
      await one.line(({ ended, kept }) => ended === 'b' && kept);
      two.child.kill('SIGKILL');
    },
  );
});
