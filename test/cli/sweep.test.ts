import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { long } from '../support/long.js';
import {
  bytes,
  filesIn,
  npy,
  objects,
  readSafetensors,
  sae,
  start,
  succeeds,
  temporaryFolder,
} from './sae.js';

// A model of a sweep ends with the bits of one that `sae train` trains alone, whatever happens to its worker.

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([400, 16], bytes(6400)));
const others = folder.write('others.npy', npy([400, 16], bytes(6401).slice(1)));
const posix = process.platform !== 'win32';

const common = ['--data', rows, '--h_dims', '[8]', '--batch_size', '4', '--epochs', '6'];
/** Each is tried with each k, where it has one. */
const lrs = long ? ['1e-3', '3e-3'] : ['3e-3'];
const sweep = ['sweep', ...common, '--sparsity', 'topk,l1', '--k', '2,3', '--lr', `${lrs}`, '--json'];
const alone = [['topk', '--k', '2'], ['topk', '--k', '3'], ['l1']].flatMap((kind) =>
  lrs.map((lr) => [...kind, '--lr', lr]),
);

interface Line {
  readonly trial: string;
  readonly state: string;
  readonly training: Record<string, unknown>;
  readonly model: Record<string, unknown>;
  readonly metrics: Record<string, number>;
  readonly files: { readonly model: string; readonly history: string };
}

/** The models of a sweep, by what it tried. */
function modelsOf(cwd: string): Map<string, Record<string, Float32Array>> {
  const lines = objects(readFileSync(join(cwd, 'files', 'sweep.jsonl'), 'utf8')) as unknown as Line[];
  return new Map(
    lines.map(({ training: { sparsity, k, lr }, files }) => [
      `${sparsity} ${k} ${lr}`,
      readSafetensors(join(cwd, 'files', 'sweep', files.model)).tensors,
    ]),
  );
}

/** What `sae train` makes of the same options. */
const expected = (async () => {
  const models = new Map<string, Record<string, Float32Array>>();
  for (const own of alone) {
    const cwd = folder.make();
    await succeeds(['train', ...common, '--sparsity', ...own, '--save-model', '--no-save-plots'], { cwd });
    const { tensors } = readSafetensors(join(cwd, 'files', 'sae.safetensors'));
    const k = own.includes('--k') ? own[2] : undefined;
    models.set(`${own[0]} ${k} ${Number(own.at(-1))}`, tensors);
  }
  return models;
})();

/** Waits until a sweep has snapshots. */
async function untilSaved(cwd: string, count: number): Promise<void> {
  const snapshots = () => filesIn(join(cwd, 'files')).filter((file) => /-\d+\.safetensors$/.test(file));
  const began = performance.now();
  while (snapshots().length < count && performance.now() - began < 30_000) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Checks that all models are there, bit for bit, and nothing else. @param sweeps of the same trials, in other groups. */
async function expectAll(cwd: string, sweeps = 1): Promise<void> {
  const models = modelsOf(cwd);
  expect(models).toEqual(await expected);
  const left = filesIn(join(cwd, 'files', 'sweep')).filter((file) => !/state\.json(~\d+)?$/.test(file));
  const trials = models.size;
  const count = (pattern: RegExp) => left.filter((file) => pattern.test(file)).length;
  expect(count(/^trials\/t[0-9a-f]{15}\/trial\.json$/)).toBe(trials);
  expect(count(/^trials\/t[0-9a-f]{15}\/\d+-w[0-9a-f]+-sae\.safetensors$/)).toBe(trials);
  expect(count(/^trials\/t[0-9a-f]{15}\/\d+-w[0-9a-f]+-metrics\.jsonl$/)).toBe(trials);
  expect(count(/^sweeps\/s[0-9a-f]{8}\.json$/)).toBe(sweeps);
  expect(left.length).toBe(3 * trials + sweeps + count(/^ended\/s[0-9a-f]{8}\/\d+$/));
}

describe('sae sweep', () => {
  it('trains models that are the same, bit for bit, as each trained alone, and compares them', async () => {
    const cwd = folder.make();
    const lines = objects(await succeeds(sweep, { cwd }));
    expect(lines[0]).toMatchObject({ trials: alone.length, store: join(cwd, 'files', 'sweep') });
    const told = lines.filter((line) => 'trial' in line) as unknown as Line[];
    expect(told.map(({ state }) => state)).toEqual(alone.map(() => 'done'));
    await expectAll(cwd);
    const table = objects(readFileSync(join(cwd, 'files', 'sweep.jsonl'), 'utf8')) as unknown as Line[];
    expect(table.map(({ model }) => model)).toEqual(
      alone.map(() => expect.objectContaining({ in_dims: 16, h_dims: [8] })),
    );
    expect(
      readFileSync(join(cwd, 'images', 'pareto.png'))
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    const report = readFileSync(join(cwd, 'files', 'sweep.html'), 'utf8');
    // Named by what differs.
    expect(report.includes(long ? 'topk, lr 0.003, k 2' : 'topk, k 2')).toBe(true);
    // Given again, nothing is trained.
    const again = objects(await succeeds(sweep, { cwd })).filter((line) => 'trial' in line);
    const byTrial = (a: object, b: object) => ((a as Line).trial < (b as Line).trial ? -1 : 1);
    expect(again.sort(byTrial)).toEqual([...told].sort(byTrial));
    // More of the same sweep: what is there stays.
    const more = objects(await succeeds([...sweep, '--seeds', '2', '--dry-run'], { cwd }));
    expect(more).toEqual([
      {
        trials: 2 * alone.length,
        groups: expect.any(Number),
        seconds: expect.any(Number),
        bytes: expect.any(Number),
        adapter: expect.any(String),
      },
    ]);
    const status = objects(await succeeds(['sweep', '--status', '--json'], { cwd }));
    expect(status).toMatchObject([
      { trials: alone.length, open: 0, running: 0, done: alone.length, ended: 0, failed: 0, workers: [] },
    ]);
  });

  const signals = [
    ['SIGKILL', null],
    ['SIGINT', 130],
  ] as const;
  it.runIf(long && posix).each(signals)('goes on where %s stopped it', async (signal, expectedStatus) => {
    const cwd = folder.make();
    const { child, ended, says } = start([...sweep, '--save_every', '7'], { cwd, env: { SAE_LEASE: '2' } });
    await says(/"groups"/);
    await untilSaved(cwd, 3);
    child.kill(signal);
    expect((await ended).status).toBe(expectedStatus);
    const [status] = objects(await succeeds(['sweep', '--status', '--json'], { cwd }));
    expect(status.done).toBeLessThan(alone.length);
    const lines = objects(await succeeds([...sweep, '--save_every', '7'], { cwd }));
    expect(lines.filter((line) => 'failure' in line)).toEqual([]);
    await expectAll(cwd);
  });

  it.runIf(long)('lets a worker of another folder take part, and refuses one with other rows', async () => {
    const cwd = folder.make();
    const store = join(cwd, 'shared');
    const elsewhere = folder.make();
    const { ended, says } = start(
      [...sweep, '--store', store, '--side-by-side', '1', '--adapters', 'llvmpipe'],
      { cwd },
    );
    await says(/"groups":6/);
    const refused = await sae(['worker', '--store', store, '--data', others], { cwd: elsewhere });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('are not those of the sweep');
    const helped = await succeeds(['worker', '--store', store], { cwd: elsewhere });
    expect(helped).toContain('nothing is left');
    expect((await ended).status).toBe(0);
    const states = readdirSync(join(store, 'trials')).map((trial) => {
      const all = readdirSync(join(store, 'trials', trial)).filter((name) => name.startsWith('state.json'));
      return JSON.parse(readFileSync(join(store, 'trials', trial, all.sort().at(-1)!), 'utf8'));
    });
    expect(states.every(({ state }) => state === 'done')).toBe(true);
  });

  it.runIf(long && posix)(
    'writes a job array of Slurm, whose worker saves before its time is up',
    async () => {
      const cwd = folder.make();
      const options = [
        '--slurm',
        'sweep.sh',
        '--sbatch=--partition=gpu',
        '--at_once',
        '2',
        '--save_every',
        '7',
      ];
      const store = join(cwd, 'files', 'sweep');
      await succeeds([...sweep, ...options], { cwd });
      const script = readFileSync(join(cwd, 'sweep.sh'), 'utf8');
      for (const line of ['--array=0-0%2', '--requeue', '--signal=USR2@120', '--partition=gpu']) {
        expect(script.split('\n')).toContain(`#SBATCH ${line}`);
      }
      const [, worker] =
        /^srun --ntasks=1 \S+ \S*main\.js (worker .*) --group "\$SLURM_ARRAY_TASK_ID"$/m.exec(script)!;
      const words = [...worker.split(' '), '--group', '0'];
      expect(words.slice(0, 3)).toEqual(['worker', '--store', store]);
      const { child, ended } = start(words, { cwd });
      await untilSaved(cwd, 1);
      child.kill('SIGUSR2');
      expect((await ended).status).toBe(75);
      expect(await succeeds(words, { cwd })).toContain('nothing is left');
      await succeeds(sweep, { cwd });
      await expectAll(cwd, 2);
    },
  );

  it.runIf(long)(
    'given again, tries what failed since its workers died, and not what would fail again',
    async () => {
      const cwd = folder.make();
      // Written, and not begun.
      await succeeds([...sweep, '--slurm', 'sweep.sh'], { cwd });
      const trials = readdirSync(join(cwd, 'files', 'sweep', 'trials'));
      const [dying, wrong] = trials;
      const write = (trial: string, state: object) => {
        const common = { write: '0', worker: 'w0', claims: 5, attempts: 5, steps: 0 };
        const text = JSON.stringify({ ...common, ...state });
        writeFileSync(join(cwd, 'files', 'sweep', 'trials', trial, 'state.json'), text);
      };
      write(dying, { state: 'running' });
      write(wrong, { state: 'failed', failure: 'The loss is NaN.' });
      const first = await sae(sweep, { cwd });
      expect(first.status).toBe(1);
      expect(first.stderr).toMatch(/2 of 6 trials failed; .*The same command tries again what may pass\./);
      const failed = (lines: readonly object[]) =>
        (lines as Line[]).filter(({ state }) => state === 'failed').map(({ trial }) => trial);
      expect(failed(objects(first.stdout)).sort()).toEqual([dying, wrong].sort());
      const second = await sae(sweep, { cwd });
      expect(second.status).toBe(1);
      expect(second.stderr).toContain('1 of 6 trials failed; the first one: The loss is NaN.\n');
      expect(objects(second.stdout)).toContainEqual({ again: 1 });
      expect(failed(objects(second.stdout))).toEqual([wrong]);
      rmSync(join(cwd, 'files', 'sweep', 'trials', wrong), { recursive: true });
      const marks = filesIn(join(cwd, 'files', 'sweep')).filter((file) => file.startsWith('ended/'));
      expect(marks.length).toBeGreaterThan(0);
      for (const mark of marks) rmSync(join(cwd, 'files', 'sweep', mark));
      for (const one of readdirSync(join(cwd, 'files', 'sweep', 'sweeps'))) {
        rmSync(join(cwd, 'files', 'sweep', 'sweeps', one));
      }
      await succeeds(sweep, { cwd });
      await expectAll(cwd);
    },
  );

  it.runIf(long)('ends the hopeless, by what their losses were', async () => {
    const cwd = folder.make();
    const halved = [
      'sweep',
      ...common,
      '--sparsity',
      'topk',
      '--k',
      '2',
      '--lr',
      '1e-4,1e-3,3e-3,1e-2',
      '--halving',
      '2',
      '--json',
      '--side-by-side',
      '4',
      '--adapters',
      'llvmpipe',
    ];
    const lines = objects(await succeeds(halved, { cwd })).filter((line) => 'trial' in line);
    const results = objects(readFileSync(join(cwd, 'files', 'sweep.jsonl'), 'utf8')) as unknown as (Line & {
      steps: number;
    })[];
    expect(lines).toHaveLength(4);
    // Six epochs: stages after the first and the third, of 100 steps each.
    expect(results.map(({ steps }) => steps).sort((a, b) => a - b)).toEqual([100, 100, 300, 600]);
    const lossesAt = (epoch: number) =>
      results.map(({ files }) => {
        const lines = objects(readFileSync(join(cwd, 'files', 'sweep', files.history), 'utf8'));
        return (lines[epoch - 1]?.loss as number) ?? Number.POSITIVE_INFINITY;
      });
    const first = lossesAt(1);
    const order = [0, 1, 2, 3].sort((a, b) => first[a] - first[b]);
    expect(order.slice(2).map((i) => results[i].steps)).toEqual([100, 100]);
    const third = lossesAt(3);
    const [better, worse] = order.slice(0, 2).sort((a, b) => third[a] - third[b]);
    expect([results[better], results[worse]].map(({ steps, state }) => [steps, state])).toEqual([
      [600, 'done'],
      [300, 'ended'],
    ]);
  });

  it('reads a file, whose options the command line has precedence over', async () => {
    const cwd = folder.make();
    writeFileSync(
      join(cwd, 'sweep.yaml'),
      `data: ${rows}
h_dims: [8]
epochs: 1
grids:
  - { sparsity: topk, k: [2, 3] }
  - { sparsity: l1, lr: { from: 1e-4, to: 1e-2, count: 3, scale: log } }
tied: [true, false]
normalize: unit
`,
    );
    const [line] = objects(
      await succeeds(['sweep', '--config', 'sweep.yaml', '--tied', 'False', '--dry-run', '--json'], { cwd }),
    );
    expect(line.trials).toBe(5);
    if (long) {
      const [both] = objects(
        await succeeds(['sweep', '--config', 'sweep.yaml', '--dry-run', '--json'], { cwd }),
      );
      expect(both.trials).toBe(10);
    }
  });

  it.each([
    [['--kk', '3'], "unknown option '--kk'"],
    [['--lr', '1e-3,-1'], 'lr[1]: lr must be a number above 0, and is -1.'],
    [['--lr', '1e-4..1e-2'], 'lr is a range without a count'],
    [['--lr', '1e-4..1e-2:x'], 'lr: lr must be a number above 0'],
    [['--tied=maybe'], 'tied must be True or False, and is "maybe".'],
    [['--seeds', '1000001'], 'The sweep has 1,000,001 trials. If that is meant, add --yes'],
    [['--store', 'gs://bucket'], 'A store is a folder or s3://BUCKET/PREFIX'],
    [['--on', 'amqp://host'], 'A queue is named by an address that begins with'],
    [['--on', 'redis://127.0.0.1:1'], '127.0.0.1:1'],
    [['--config', 'none.yaml'], 'The sweep none.yaml cannot be read'],
    [['--status', '--store', 'empty'], 'There is no sweep in the store'],
    [['--pause'], 'pause is of a queue. Name it with --on.'],
    [['--data', '-'], 'come once'],
    [['--save_every', 'often'], 'save_every is "often"'],
    [['--adapters', 'nvidia,'], 'expected all, or parts of names'],
    [['--adapters', 'no such'], 'No adapter has "no such" in its name.'],
  ])('%j is refused with a sentence, and nothing is begun', async (words, sentence) => {
    const cwd = folder.make();
    const { status, stderr } = await sae(['sweep', ...common, ...words], { cwd });
    expect(stderr).toContain(sentence);
    expect(stderr).toMatch(/^sae: [^\n]*\n(.*\n)?$/);
    expect(status).not.toBe(0);
    expect(filesIn(cwd).filter((file) => !file.startsWith('empty'))).toEqual([]);
  });

  it.each([
    ['a: [1', 'line 1'],
    ['[1, 2]', 'must have options by their names'],
    ['data: rows.npy\nkk: 3', 'There is no option "kk" in the sweep'],
    ['grids: [{ lr: 0 }]', 'grids[0].lr: lr must be'],
  ])('a file that says %j is refused', async (text, sentence) => {
    const cwd = folder.make();
    writeFileSync(join(cwd, 'sweep.yaml'), text);
    const { status, stderr } = await sae(['sweep', '--config', 'sweep.yaml', '--data', rows], { cwd });
    expect(stderr).toContain(sentence);
    expect(status).toBe(2);
  });
});
