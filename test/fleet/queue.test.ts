import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue as BullQueue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeServer } from '../../scripts/fleet/redis.mjs';
import { parseAddress } from '../../src/node/queue/connect.js';
import { openQueue } from '../../src/node/queue/queue.js';
import {
  clientOfTest,
  isEmpty,
  lock,
  programs,
  queueOfTest,
  type Server,
  takeSoon,
  workerOfTest,
} from './support.js';

// One server for all of these, and a prefix for each test: they do not see each other's jobs.
const transports = programs.flatMap(([name, program]) =>
  (['url', 'tls', 'unix'] as const).map(
    (by) => [`${name}, ${by === 'url' ? 'tcp' : by}`, program, by] as const,
  ),
);
const jobs = (...ids: string[]) => ids.map((id) => ({ id, data: { milliseconds: 10, id } }));

describe.each(transports)('%s', (_, program, by) => {
  let server: Server;
  let count = 0;
  beforeAll(async () => {
    server = await makeServer(program);
  });
  afterAll(() => server.remove());
  const fresh = () => `${server[by]}?prefix=t${count++}`;

  test('a job that is added twice is there once, with its first data, and is not begun again when it is done', async () => {
    const url = fresh();
    const [one, two] = [await queueOfTest(url), await queueOfTest(url)];
    await one.add(jobs('a', 'b'));
    await two.add([{ id: 'b', data: { other: true } }, ...jobs('c')]);
    expect((await one.state()).waiting).toBe(3);
    const taken = [];
    for (let at = 0; at < 3; at++) {
      const job = await takeSoon(two);
      taken.push(job);
      await one.add(jobs('a', 'b', 'c'));
      await job.done();
    }
    expect(taken.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(taken[1].data).toEqual({ milliseconds: 10, id: 'b' });
    await one.add(jobs('a', 'b', 'c'));
    expect(await one.state()).toEqual({ waiting: 0, active: 0, done: 3, failed: 0, paused: false });
    expect(await isEmpty(one)).toBe(true);
  });

  test('a job that is done and forgotten can be added again; one that somebody has is not forgotten', async () => {
    const queue = await queueOfTest(fresh());
    await queue.add(jobs('a', 'b'));
    await (await takeSoon(queue)).done();
    const held = await takeSoon(queue);
    await queue.forget(['a', 'b', 'none']);
    expect(await held.renew()).toBe(true);
    await queue.add(jobs('a', 'b'));
    expect(await takeSoon(queue)).toMatchObject({ id: 'a', attempts: 0 });
    expect(await isEmpty(queue)).toBe(true);
    await held.done();
  });

  test('a job that is given back for later lets others go first, and counts no attempt', async () => {
    const queue = await queueOfTest(fresh());
    await queue.add(jobs('a', 'b'));
    await (await takeSoon(queue)).giveBack(lock);
    expect((await queue.state()).waiting).toBe(2);
    const began = performance.now();
    await (await takeSoon(queue)).done();
    const again = await takeSoon(queue);
    expect(again).toMatchObject({ id: 'a', attempts: 0 });
    expect(performance.now() - began).toBeGreaterThan(lock / 2);
    await again.done();
  });

  test('they come in the order of their priorities, and then in which they were added', async () => {
    const queue = await queueOfTest(fresh());
    await queue.add(jobs('late1', 'late2'), { priority: 5 });
    await queue.add(jobs('soon1', 'soon2'), { priority: 1 });
    await queue.add(jobs('now1', 'now2'));
    await queue.add(jobs('soon3'), { priority: 1 });
    const order = [];
    for (let at = 0; at < 7; at++) {
      const job = await takeSoon(queue);
      order.push(job.id);
      await job.done();
    }
    expect(order).toEqual(['now1', 'now2', 'soon1', 'soon2', 'soon3', 'late1', 'late2']);
  });

  test('a queue that is paused hands nothing out, for all its clients, and what was taken goes on', async () => {
    const url = fresh();
    const [one, two] = [await queueOfTest(url), await queueOfTest(url)];
    await one.add(jobs('a', 'b'));
    const job = await takeSoon(one);
    await two.pause();
    expect(await one.state()).toMatchObject({ waiting: 1, active: 1, paused: true });
    expect(await isEmpty(one)).toBe(true);
    expect(await job.renew()).toBe(true);
    await job.done();
    await two.add(jobs('c'));
    expect(await one.state()).toMatchObject({ waiting: 2, active: 0, done: 1, paused: true });
    const waiting = takeSoon(one);
    await two.resume();
    expect((await waiting).id).toBe('b');
  });

  test('a job that fails is tried again, later each time, and fails for good after the third time; adding it begins anew', async () => {
    const url = fresh();
    const queue = await queueOfTest(url);
    const client = clientOfTest(url);
    const prefix = parseAddress(url).prefix;
    await queue.add(jobs('a'));
    const delays = [];
    for (const [attempts, again] of [
      [0, true],
      [1, true],
      [2, false],
      [0, true],
    ] as const) {
      const job = await takeSoon(queue);
      expect(job.attempts).toBe(attempts);
      expect(await job.failed('a device was lost')).toBe(again);
      if (again) delays.push(Number(await client.hget(`${prefix}:sae:a`, 'delay')));
      expect(await queue.state()).toMatchObject({ waiting: again ? 1 : 0, active: 0, failed: again ? 0 : 1 });
      if (!again) {
        expect(await client.hget(`${prefix}:sae:a`, 'failedReason')).toBe('a device was lost');
        await queue.add(jobs('a', 'b'));
        expect(await queue.state()).toMatchObject({ waiting: 2, failed: 0 });
        // Added in the same call.
        await (await takeSoon(queue)).done();
      }
    }
    expect(delays).toEqual([lock / 6, lock / 3, lock / 6]);
  });

  test('a job that is given back is the next one for somebody else, and no attempt of it is counted', async () => {
    const queue = await queueOfTest(fresh());
    await queue.add(jobs('a', 'b'));
    for (let at = 0; at < 5; at++) {
      const job = await takeSoon(queue);
      expect([job.id, job.attempts]).toEqual(['a', 0]);
      await job.giveBack();
      expect(await job.renew()).toBe(false);
      await job.done();
      expect(await job.failed('too late')).toBe(true);
    }
    expect(await queue.state()).toEqual({ waiting: 2, active: 0, done: 0, failed: 0, paused: false });
  });

  test("BullMQ's own programs see states, progress and workers", async () => {
    const url = fresh();
    const { prefix } = parseAddress(url);
    const queue = await queueOfTest(url);
    await queue.add(jobs('a', 'b', 'c'));
    await queue.add(jobs('d'), { priority: 1 });
    const [done, active] = [await takeSoon(queue), await takeSoon(queue)];
    await active.progress({ done: 3, of: 8 });
    await done.done();
    const bull = new BullQueue('sae', { connection: clientOfTest(url), prefix });
    onTestFinished(() => bull.close());
    expect(await bull.getJobCounts('completed', 'active', 'waiting', 'prioritized')).toEqual({
      completed: 1,
      active: 1,
      waiting: 1,
      prioritized: 1,
    });
    const workers = await bull.getWorkers();
    const name = `${prefix}:c2Fl:w:${hostname()}-${process.pid}`; // c2Fl: sae
    expect(workers.map(({ rawname }) => rawname)).toEqual([name]);
    expect((await bull.getJob('b'))?.progress).toEqual({ done: 3, of: 8 });
  });

  test('a job is with one of four workers at a time, and all are done', async () => {
    const url = fresh();
    const held = mkdtempSync(join(tmpdir(), 'sae-held-'));
    onTestFinished(() => rmSync(held, { recursive: true }));
    const queue = await queueOfTest(url);
    const workers = await Promise.all([1, 2, 3, 4].map(() => workerOfTest(url, { held })));
    // Some for longer than a lock lasts, while the others have nothing to do.
    await queue.add(['long1', 'long2'].map((id) => ({ id, data: { milliseconds: 2.5 * lock } })));
    await queue.add(jobs(...Array.from({ length: 118 }, (_, at) => `j${at}`)));
    await expect.poll(async () => (await queue.state()).done, { timeout: 60_000 }).toBe(120);
    for (const { child } of workers) child.kill('SIGTERM');
    await Promise.all(workers.map(({ ended }) => ended));
    const lines = workers.flatMap((worker) => worker.lines);
    expect(lines.filter(({ twice, kept }) => twice || kept === false)).toEqual([]);
    expect(new Set(lines.flatMap(({ took }) => took ?? [])).size).toBe(120);
    expect(lines.filter(({ took }) => took)).toHaveLength(120);
    expect(workers.filter(({ lines }) => lines.some(({ took }) => took)).length).toBeGreaterThan(1);
    expect(lines.filter(({ closed }) => closed)).toHaveLength(4);
  });

  test('waiting ends with its signal and with the queue', async () => {
    const queue = await queueOfTest(fresh());
    const stop = new AbortController();
    const [one, two] = [queue.take(stop.signal), queue.take(new AbortController().signal)];
    stop.abort();
    expect(await one).toBeUndefined();
    expect(await queue.take(stop.signal)).toBeUndefined();
    await queue.close();
    expect(await two).toBeUndefined();
    await expect(queue.state()).rejects.toThrow('is closed');
    await queue.close();
  });

  test('2,000 jobs of 2 KB are added at once, and again', async () => {
    // With the usual lock, and so more patience: that takes a busy machine a while.
    const queue = await openQueue(fresh());
    onTestFinished(() => queue.close());
    const many = Array.from({ length: 2000 }, (_, at) => ({
      id: `m${at}`,
      data: { text: 'x'.repeat(2000) },
    }));
    await queue.add(many);
    await queue.add(many);
    expect((await queue.state()).waiting).toBe(2000);
    expect((await takeSoon(queue)).data).toEqual(many[0].data);
  });

  test.each(['', '12345678', 'a:b', '0'])('%j is refused as an id', async (id) => {
    const queue = await queueOfTest(fresh());
    await expect(queue.add([...jobs('a'), { id, data: {} }])).rejects.toThrow(/cannot be the id of a job/);
    expect((await queue.state()).waiting).toBe(0);
  });
});
