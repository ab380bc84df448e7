import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { makeServer } from '../../scripts/fleet/redis.mjs';
import { parseAddress } from '../../src/node/queue/connect.js';
import { openQueue, type Queue, type TakenJob } from '../../src/node/queue/queue.js';

/** Milliseconds: short, so that what is lost is soon handed out again, and long enough for a busy machine. */
export const lock = 3000;

/** The servers that there are here: name and program. */
export const programs = ['redis', 'valkey'].flatMap((name) => {
  const program = process.env[`SAE_${name.toUpperCase()}_SERVER`];
  return program ? [[name, program] as const] : [];
});

export type Server = Awaited<ReturnType<typeof makeServer>>;

export async function serverOfTest(program: string, options: Parameters<typeof makeServer>[1] = {}) {
  const server = await makeServer(program, options);
  onTestFinished(() => server.remove());
  return server;
}

/** Opens a queue that is closed after the test. */
export async function queueOfTest(url: string, onNote?: (sentence: string) => void): Promise<Queue> {
  const queue = await openQueue(url, { lock, ...(onNote && { onNote }) });
  onTestFinished(() => queue.close());
  return queue;
}

/** What the server itself has, without any driver of ours. */
export function clientOfTest(url: string): Redis {
  const client = new Redis(parseAddress(url).options);
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** The next job, which has to come within some seconds. */
export async function takeSoon(queue: Queue, seconds = 20): Promise<TakenJob> {
  const job = await queue.take(AbortSignal.timeout(seconds * 1000));
  if (!job) throw new Error(`There was no job for ${seconds} s: ${JSON.stringify(await queue.state())}`);
  return job;
}

/** Whether there is no job for at least as long as a worker waits between two questions. */
export async function isEmpty(queue: Queue): Promise<boolean> {
  const job = await queue.take(AbortSignal.timeout(lock / 2));
  await job?.giveBack();
  return job === undefined;
}

/** What a worker printed: see worker.mjs. */
export interface Line {
  readonly took?: string;
  readonly attempts?: number;
  readonly renewed?: string;
  readonly kept?: boolean;
  readonly ended?: string;
  readonly twice?: string;
  readonly note?: string;
  readonly ready?: number;
  readonly closed?: boolean;
}

/** Starts a worker in a process of its own. @param prefix a command that runs it elsewhere */
export async function workerOfTest(
  url: string,
  { held, prefix = [] }: { readonly held?: string; readonly prefix?: readonly string[] } = {},
) {
  const script = fileURLToPath(new URL('worker.mjs', import.meta.url));
  const [program, ...args] = [
    ...prefix,
    process.execPath,
    script,
    JSON.stringify({ url, lock, ...(held && { held }) }),
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  onTestFinished(async () => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
  });
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text));
    for (const look of [...waiting]) look();
  });
  const worker = {
    child,
    lines,
    ended,
    /** The first line that is like that, which has to come within some seconds. */
    line(is: (line: Line) => unknown, seconds = 30): Promise<Line> {
      return new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find(is);
          if (!found) return;
          clearTimeout(late);
          waiting.delete(look);
          resolve(found);
        };
        const late = setTimeout(() => {
          waiting.delete(look);
          reject(
            new Error(
              `A worker did not say in ${seconds} s that ${is}, but:\n${lines.map((line) => JSON.stringify(line)).join('\n')}`,
            ),
          );
        }, seconds * 1000);
        waiting.add(look);
        look();
      });
    },
  };
  await worker.line((line) => line.ready);
  return worker;
}
