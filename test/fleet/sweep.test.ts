import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../../scripts/fleet/machine.mjs';
import { addressOf, cable, on } from '../../scripts/fleet/network.mjs';
import { slurm } from '../../scripts/fleet/slurm.mjs';
import { bucketBed, folderBed, queueBed, radosgwBed } from '../../scripts/torture/fleet-beds.mjs';
import { Crew, parts, skews } from '../../scripts/torture/fleet-crew.mjs';
import { lease, patience, quick, undisturbed, worker } from '../../scripts/torture/fleet-sweeps.mjs';
import { start } from '../../scripts/torture/runs.mjs';
import { programs } from './support.js';

// Sweeps on everything that can hand them out, under each fault by its name: every trial ends once, with the bits of one that nothing
// disturbs, and nothing is left over. `npm run torture -- --only fleet` has them at random.

const folder = mkdtempSync(join(tmpdir(), 'sae-sweeps-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const limit = 900_000;

type Bed = Awaited<ReturnType<typeof folderBed>> & { readonly queue?: string };
type Prepared = Awaited<ReturnType<typeof undisturbed>>;
type One = Crew['workers'][number];

const prepared = new Map<string, Prepared>();
beforeAll(async () => {
  for (const job of ['plain', 'two that overlap']) prepared.set(job, await undisturbed(folder, job));
}, limit);

const ofProgram = (name: string) => programs.find(([own]) => own === name)?.[1];
const [redis, valkey] = ['redis', 'valkey'].map(ofProgram);

/** A bed for a test, and the folder in which its workers run. */
async function bedOf(make: Make, job = 'plain') {
  const cwd = mkdtempSync(join(folder, 'run-'));
  mkdirSync(join(cwd, 'tmp'));
  const { template, sweeps, outcome } = prepared.get(job)!;
  const bed = (await make(cwd, template)) as Bed;
  onTestFinished(() => bed.close());
  return { cwd, bed, sweeps, outcome };
}

type Make = (cwd: string, template: string) => Promise<unknown>;

const drivers: readonly (readonly [string, Make])[] = [
  ['a folder', folderBed],
  ['a bucket', bucketBed],
  ...(process.env.SAE_RADOSGW ? ([['a bucket of radosgw', radosgwBed]] as const) : []),
  ...(redis ? [queueOf('Redis and a folder', { program: redis })] : []),
  ...(valkey ? [queueOf('Valkey and a bucket', { program: valkey, storeBed: bucketBed })] : []),
];

function queueOf(name: string, how: Parameters<typeof queueBed>[2]) {
  const make: Make = (cwd, template) => queueBed(cwd, template, how);
  return [name, make] as const;
}

const hasSnapshot = ({ snapshot }: { snapshot?: string }) => snapshot;
const isRunning = ({ state }: { state: string }) => state === 'running';
const isFurther = ({ state, attempts }: { state: string; attempts: number }) =>
  state !== 'running' || attempts === 0;

/** Where the process of an adapter is killed, in the order in which a trial comes to them. */
const snapshotFile = '\\d+-w\\w+-\\d+\\.safetensors';
const phases = {
  folder: [
    ['open .*/sae-trials-', false],
    [`rename .*${snapshotFile}$`, false],
    [`rename .*${snapshotFile}$`, true],
    // The fifth state of two trials that were taken: both have a snapshot then.
    ['link .*state\\.json', true, 4],
    [`rm .*/store/.*${snapshotFile}$`, false],
    [`rm .*/store/.*${snapshotFile}$`, true],
    ['rename .*sae\\.safetensors$', true],
    ['rename .*metrics\\.jsonl$', true],
  ],
  bucket: [
    [`PUT .*${snapshotFile}`, false],
    [`PUT .*${snapshotFile}`, true],
    ['PUT .*state\\.json', true, 4],
    [`DELETE .*${snapshotFile}`, false],
    [`DELETE .*${snapshotFile}`, true],
    ['PUT .*sae\\.safetensors', true],
    ['PUT .*metrics\\.jsonl', true],
  ],
} as const;

describe.each(drivers)('a sweep by %s', (name, make) => {
  const ofFolder = name.endsWith('folder');
  const run = async (
    breaking: (crew: Crew) => Promise<void>,
    { job, ...how }: { job?: string; size?: number; skew?: string } = {},
  ) => {
    const of = await bedOf(make, job);
    const crew = new Crew(of, how);
    expect(await crew.run(() => breaking(crew))).toEqual([]);
  };
  const any = (crew: Crew): One => crew.alive[0];

  test(
    'is killed in each phase of a snapshot and of the end of a trial',
    () =>
      run(
        async (crew) => {
          const killed: string[] = [];
          for (const [i, [what, after, nth = 1]] of phases[ofFolder ? 'folder' : 'bucket'].entries()) {
            if (crew.isOver) break;
            // Five deaths without progress would end the trial, so each phase has one, after some progress.
            if (i > 0) await crew.until(isFurther, 'every');
            const place = { what, after, nth, child: true, once: `killed-${i}` };
            const next = await crew.killAt(crew.workers[0], place);
            await until(
              `an end at ${what}`,
              () => crew.isOver || next.ended || /ended by SIGKILL/.test(next.run.said.stderr),
              { seconds: patience / 2000 },
            );
            if (/ended by SIGKILL/.test(next.run.said.stderr)) killed.push(what);
          }
          expect(killed.length).toBeGreaterThan(3);
          crew.kill(crew.workers[0], 'both');
        },
        { size: 1 },
      ),
    limit,
  );

  test.each(parts)(
    'has a worker killed with kill -9: %s',
    (part) =>
      run(async (crew) => {
        await crew.until(hasSnapshot);
        if (crew.alive.length > 0) crew.kill(any(crew), part);
        await crew.until(isRunning);
        if (crew.alive.length > 0) crew.kill(any(crew), part);
      }),
    limit,
  );

  test(
    'has a worker that sleeps past its lease and wakes: what it writes then has no effect',
    () =>
      run(async (crew) => {
        await crew.until(isRunning);
        for (const one of crew.alive.slice(0, 2)) await crew.stop(one, 'both', 2 * lease);
      }),
    limit,
  );

  test(
    'is one of two that share trials on one store',
    () => run(async () => {}, { job: 'two that overlap' }),
    limit,
  );

  test.skipIf(skews.length === 0).each(skews)(
    'has a worker whose clock is %s',
    (skew) => run(async () => {}, { skew }),
    limit,
  );

  test(
    'refuses a worker of another version with a sentence, and the others go on',
    async () => {
      const of = await bedOf(async (cwd, template) => {
        const changed = join(cwd, 'template');
        execFileSync('cp', ['-r', template, changed]);
        const record = join(changed, 'sweeps', `${prepared.get('plain')!.sweeps[0].sweep}.json`);
        writeFileSync(record, readFileSync(record, 'utf8').replace(/"engine": "[^"]*"/, '"engine": "0.0.0"'));
        return make(cwd, changed);
      });
      if (of.bed.queue) {
        const { openQueue } = await import('../../dist/node/queue/queue.js');
        const queue = await openQueue(of.bed.queue);
        const [{ sweep }] = of.sweeps;
        const data = { store: of.bed.store, sweep, group: 0 };
        await queue.add([{ id: `${sweep}-0`, data }]);
        // Four times: three failures would end the job.
        for (let i = 0; i < 4; i++) await refused(of);
        expect(await queue.state()).toMatchObject({ waiting: 1, failed: 0 });
        await queue.close();
      } else await refused(of);
    },
    limit,
  );

  test.runIf(name.includes(' and '))(
    'has its queue restarted, with and without its file',
    () =>
      run(async (crew) => {
        await crew.until(isRunning);
        await crew.bed.faults['queue restarted'](Math.random);
        await crew.until(hasSnapshot);
        await crew.bed.faults['queue forgets'](Math.random);
      }),
    limit,
  );
});

async function refused({ cwd, bed }: Awaited<ReturnType<typeof bedOf>>): Promise<void> {
  const { status, stderr } = await start([...worker, ...bed.source], {
    cwd,
    env: { ...quick, ...bed.env },
    patience,
  }).ended;
  expect(stderr).toContain('was begun by version 0.0.0 of webgpu-sae');
  expect(stderr).toMatch(/^sae: /);
  expect(status).toBe(2);
}

describe('what a part of the network or a disk does', () => {
  const machines = process.env.SAE_FLEET_MACHINES?.split(' ') ?? [];

  test.skipIf(machines.length === 0 || !redis)(
    'three workers of Redis, of which one is killed and one cut off, which comes back',
    async () => {
      const [server, a, b] = machines;
      const make = (cwd: string, template: string) =>
        queueBed(cwd, template, { program: redis ?? '', prefix: on(server), host: addressOf(0) });
      const of = await bedOf(make);
      const crew = new Crew(of, { before: [on(a), on(b), on(b)] });
      const breaking = async () => {
        await crew.until(isRunning);
        cable(a, 'down');
        crew.kill(crew.workers[1], 'both');
        await pause(3 * lease);
        cable(a, 'up');
      };
      onTestFinished(() => cable(a, 'up'));
      expect(await crew.run(breaking)).toEqual([]);
    },
    limit,
  );

  test(
    'a worker cut off its bucket past its lease, which comes back',
    async () => {
      const of = await bedOf(bucketBed);
      const proxy = await proxyTo(Number(new URL(of.bed.env.AWS_ENDPOINT_URL_S3).port));
      onTestFinished(() => proxy.close());
      const crew = new Crew(of);
      const breaking = async () => {
        await crew.until(isRunning);
        crew.kill(crew.workers[0], 'both');
        await crew.workers[0].run.ended;
        const cut = crew.begin(0, { AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` });
        crew.workers[0] = cut;
        await until('its connection', () => crew.isOver || cut.ended || proxy.connections() > 0);
        await pause(3000);
        proxy.cut(true);
        await pause(2 * lease);
        proxy.cut(false);
      };
      expect(await crew.run(breaking)).toEqual([]);
    },
    limit,
  );

  test(
    'a bucket that is away for a minute: what cannot be asked for so long ends workers with a sentence',
    async () => {
      const of = await bedOf(bucketBed);
      const crew = new Crew(of);
      const breaking = async () => {
        await crew.until(isRunning);
        await (of.bed as unknown as Awaited<ReturnType<typeof bucketBed>>).away(60_000);
      };
      expect(await crew.run(breaking)).toEqual([]);
    },
    limit,
  );

  test.skipIf(process.getuid?.() !== 0)(
    'a disk that is full for a while',
    async () => {
      const mount = mkdtempSync(join(folder, 'disk-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
      onTestFinished(() => void execFileSync('umount', ['-l', mount]));
      const of = await bedOf((_, template) => folderBed(mount, template));
      const crew = new Crew(of);
      const filler = join(mount, 'filler');
      const breaking = async () => {
        await crew.until(isRunning);
        const { bavail, bsize } = statfsSync(mount);
        // What is left is filled by whoever writes next.
        execFileSync(
          'dd',
          ['if=/dev/zero', `of=${filler}`, 'bs=4096', `count=${(bavail * bsize) / 4096 - 1}`],
          {
            stdio: 'ignore',
          },
        );
        await pause(2 * lease);
        rmSync(filler);
      };
      expect(await crew.run(breaking)).toEqual([]);
    },
    limit,
  );

  test.skipIf(!process.env.SLURM_CONF)(
    'tasks of Slurm, of which some are told that their time is up, and one is killed',
    async () => {
      const of = await bedOf(folderBed);
      const [{ sweep, groups }] = of.sweeps;
      const { slurmScript } = await import('../../src/node/slurm.js');
      const { main } = await import('../cli/sae.js');
      const command = [process.execPath, main];
      const directives = [`--output=${join(of.cwd, '%a.out')}`, '--signal=USR2@1'];
      const text = slurmScript({ store: of.bed.store, sweep, groups, command, directives });
      const file = join(of.cwd, 'script');
      // Tests know the adapter's name.
      writeFileSync(file, text.replace(' --group', ' --adapters llvmpipe --group'));
      const env = `--export=ALL,${Object.entries(quick).map(([key, value]) => `${key}=${value}`)}`;
      const ids: string[] = [];
      const submit = () => ids.push(slurm('sbatch', '--parsable', env, file));
      onTestFinished(() => void slurm('scancel', ...ids));
      submit();
      const crew = new Crew(of, { size: 0 });
      const left = () => slurm('squeue', '-h', '-r', '-o', '%t', '-j', ids.join());
      const breaking = async () => {
        await crew.until(isRunning);
        slurm('scancel', '--signal=USR2', ids[0]);
        await crew.until(hasSnapshot);
        for (const pid of workersOf(of.bed.store).slice(0, 1)) process.kill(pid, 'SIGKILL');
        await until('the end of all tasks', () => crew.isOver || left() === '', { seconds: 120, every: 500 });
        // One that was killed has failed, and is submitted again.
        if (!crew.isOver) submit();
      };
      expect(await crew.run(breaking)).toEqual([]);
    },
    limit,
  );
});

/** The processes of workers of a store. */
function workersOf(store: string): number[] {
  const found = execFileSync('pgrep', ['-f', `main.js worker --store ${store}`], { encoding: 'utf8' });
  return found.trim().split('\n').map(Number);
}

/** Hands on what comes to a port, unless it is cut: then nothing comes through, and nobody is told. */
async function proxyTo(port: number) {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((incoming) => {
    const outgoing = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ]) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!isCut) to.write(bytes);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as { port: number }).port,
    connections: () => sockets.size,
    cut(now: boolean) {
      isCut = now;
      // What was lost on the way never comes.
      if (!now) for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
