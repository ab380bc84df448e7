import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../scripts/fleet/machine.mjs';
import { idle, slurm, startNode } from '../../scripts/fleet/slurm.mjs';
import { slurmScript } from '../../src/node/slurm.js';

const folder = process.env.SAE_SLURM_FOLDER;
const nodes = process.env.SAE_SLURM_NODES?.split(' ').map(Number) ?? [];
const worker = fileURLToPath(new URL('slurm-worker.mjs', import.meta.url));

interface Event {
  readonly event: string;
  readonly group: string;
  readonly restarts: number;
  readonly pid: number;
  readonly node: string;
  readonly steps?: number;
  readonly gpus?: string;
  readonly at?: number;
}

/** Hands a sweep to the cluster, whose workers take 0.1 s a step. */
function submit(
  name: string,
  plan: { readonly steps: number; readonly yields?: number },
  options: Partial<Parameters<typeof slurmScript>[0]> = {},
) {
  // As one whose name has to be quoted.
  const store = join(folder ?? '', 'jobs', `${name} 'store'`);
  mkdirSync(store);
  writeFileSync(join(store, 'plan.json'), JSON.stringify(plan));
  const script = slurmScript({
    store,
    sweep: name,
    groups: 1,
    command: [process.execPath, worker],
    ...options,
    directives: [
      `--output=${join(folder ?? '', 'jobs', name)}-%a.out`,
      '--gres=gpu:1',
      ...(options.directives ?? []),
    ],
  });
  const file = join(store, 'script');
  writeFileSync(file, script);
  const id = slurm('sbatch', '--parsable', file);
  onTestFinished(() => void slurm('scancel', id));
  const events = (): Event[] => {
    try {
      return readFileSync(join(store, 'log'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    } catch {
      return [];
    }
  };
  return {
    id,
    events,
    output: (task = 0) => readFileSync(join(folder ?? '', 'jobs', `${name}-${task}.out`), 'utf8'),
    /** The first event that is like that. */
    async event(what: string, is: (event: Event) => boolean, seconds = 60): Promise<Event> {
      await until(`${what}; there is ${JSON.stringify(events())}`, () => events().some(is), { seconds });
      return events().find(is) as Event;
    },
    /** Waits until no task is left. */
    ended: (seconds = 60) => until('the end of the job', () => state(id) === '', { seconds, every: 300 }),
  };
}

/** The states of a job's tasks that have not ended. */
function state(id: string): string {
  try {
    return slurm('squeue', '-h', '-r', '-o', '%t', '-j', id);
  } catch {
    // It is forgotten.
    return '';
  }
}

describe.skipIf(!folder)('Slurm', { timeout: 240_000 }, () => {
  test('every group is trained by one task, two at once, on the GPU that is its own', async () => {
    const job = submit('array', { steps: 10 }, { groups: 7, atOnce: 2 });
    await job.ended();
    const events = job.events();
    for (const what of ['begin', 'done']) {
      const groups = events.filter(({ event }) => event === what).map(({ group }) => Number(group));
      expect(groups.sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    }
    const marks = events
      .map(({ event, at = 0 }) => ({ at, by: event === 'begin' ? 1 : -1 }))
      .sort((a, b) => a.at - b.at || a.by - b.by);
    let running = 0;
    const most = Math.max(...marks.map(({ by }) => (running += by)));
    expect(most).toBe(2);
    // Each node of this cluster has one.
    expect(new Set(events.flatMap(({ gpus }) => gpus ?? []))).toEqual(new Set(['0']));
  });

  test('the largest array is accepted', () => {
    const job = submit('largest', { steps: 1 }, { groups: 5000, directives: ['--hold'] });
    expect(slurm('squeue', '-h', '-o', '%K', '-j', job.id)).toBe('0-1000');
  });

  test('before its time is up a worker gets a signal, its task is put back, and it goes on where it was', async () => {
    const job = submit('limit', { steps: 900 }, { directives: ['--time=3'] });
    const signal = await job.event('a signal', ({ event }) => event === 'SIGUSR2', 100);
    const again = await job.event(
      'a new beginning',
      ({ restarts, event }) => restarts === 1 && event === 'begin',
    );
    expect(again.steps).toBe(signal.steps);
    expect(again.steps).toBeGreaterThan(0);
    const done = await job.event('the end', ({ event }) => event === 'done', 100);
    expect(done.steps).toBe(900);
    await job.ended();
    // On a busy machine its time may be up twice.
    expect(
      job
        .events()
        .map(({ event }) => event)
        .join(' '),
    ).toMatch(/^(begin SIGUSR2 )+begin done$/);
    // Appended to.
    expect(job.output()).toContain('exit code 75');
  });

  test('a task may be put back again and again', async () => {
    const job = submit('again', { steps: 20, yields: 7 });
    const done = await job.event('the end', ({ event }) => event === 'done', 200);
    expect(done).toMatchObject({ restarts: 7, steps: 20 });
    await job.ended();
  });

  test('a signal that somebody sends reaches the worker, and a task that is cancelled ends and is not put back', async () => {
    const job = submit('cancelled', { steps: 3000 }, { groups: 2 });
    for (const task of ['0', '1']) await job.event('a beginning', ({ group }) => group === task);
    slurm('scancel', '--signal=USR2', `${job.id}_0`);
    await job.event('a signal', ({ event, group }) => event === 'SIGUSR2' && group === '0');
    slurm('scancel', `${job.id}_1`);
    await job.event('the end', ({ event, group }) => event === 'SIGTERM' && group === '1');
    await job.event('a new beginning', ({ group, restarts }) => group === '0' && restarts === 1);
    expect(state(`${job.id}_1`)).toBe('');
    slurm('scancel', job.id);
    await job.ended();
    expect(job.events().filter(({ group, event }) => group === '1' && event === 'begin')).toHaveLength(1);
  });

  test('what ran on a node that fails runs on another one, though the first may still be at work', async () => {
    await until('all nodes', () => idle() === 3);
    const job = submit('node', { steps: 900 });
    const first = await job.event('a beginning', ({ event }) => event === 'begin');
    const at = ['n1', 'n2', 'n3'].indexOf(first.node);
    process.kill(nodes[at], 'SIGKILL');
    const second = await job.event(
      'another one',
      ({ restarts, event }) => restarts === 1 && event === 'begin',
      90,
    );
    expect(second.node).not.toBe(first.node);
    expect(second.steps).toBeGreaterThan(0);
    // Nobody was there to end it: two have one trial, which is for the store to sort out.
    expect(() => process.kill(first.pid, 0)).not.toThrow();
    const node = startNode(first.node, folder ?? '');
    onTestFinished(() => node.stop());
    await until(
      'the node',
      () => !slurm('sinfo', '-h', '-N', '-n', first.node, '-o', '%t').startsWith('down'),
    );
    slurm('scancel', job.id);
    await job.ended();
    await until('the end of both workers', () => [first, second].every(({ pid }) => !isAlive(pid)));
    await until('all nodes', () => idle() === 3);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
