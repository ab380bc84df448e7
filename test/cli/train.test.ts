import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import {
  bytes,
  figures,
  filesIn,
  npy,
  objects,
  readSafetensors,
  sae,
  succeeds,
  temporaryFolder,
} from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([100, 16], bytes(1600)));
const heldOut = folder.write('held-out.npy', npy([30, 16], bytes(480).reverse()));
const epochKeys = [
  'epoch',
  'loss',
  'mse',
  'explained_variance',
  'kl',
  'active',
  'dead',
  'dense',
  'samples_per_second',
  'seconds',
];

describe('rows of one’s own', () => {
  it('that go through windows, since --window has no room for all, train as all do', async () => {
    const run = async (more: string[]) => {
      const cwd = folder.make();
      const own = [
        '--data',
        rows,
        '--h_dims',
        '4',
        '--epochs',
        '2',
        '--batch_size',
        '10',
        '--validation',
        heldOut,
        '--no-save-plots',
      ];
      const lines = await succeeds(['train', ...own, '--shuffle', 'False', '--save-model', ...more], { cwd });
      const [, , data] = lines.split('\n');
      const figures = lines.split('\n').flatMap((line) => /(loss .* dense \d+)/.exec(line)?.[1] ?? []);
      return { data, figures, model: readFileSync(join(cwd, 'files', 'sae.safetensors')) };
    };
    const all = await run([]);
    // Rows of 16 bytes.
    const streamed = await run(['--window', '1kb']);
    expect(streamed.data).toBe(`${all.data}, through two windows of 30 rows (1 kB each)`);
    expect(streamed.figures).toEqual(all.figures);
    expect(all.figures.length).toBe(3);
    expect(streamed.model.equals(all.model)).toBe(true);
  });

  it('from another program train as those of a file do, and what was learned is saved if they end too early', async () => {
    const run = async (data: string, more: object, input: Uint8Array = readFileSync(rows)) => {
      const cwd = folder.make();
      const own = [
        '--h_dims',
        '4',
        '--epochs',
        '1',
        '--batch_size',
        '10',
        '--shuffle',
        'False',
        '--window',
        '1kb',
      ];
      const args = ['train', '--data', data, ...own, '--save-model', '--save-plots', 'False'];
      const result = await sae(args, { cwd, ...more, ...(data === '-' && { input }) });
      const model = () => readFileSync(join(cwd, 'files', 'sae.safetensors'));
      return { ...result, model, cwd };
    };
    const [file, piped] = [await run(rows, {}), await run('-', {})];
    expect([piped.status, piped.stderr]).toEqual([0, '']);
    expect(piped.stdout).toContain(
      'data        standard input: 100 rows of 16 values, through two windows of 30 rows',
    );
    expect(piped.model().equals(file.model())).toBe(true);
    const first = readFileSync(rows).subarray(0, 128 + 75 * 16);
    const cut = npy([20000, 16], bytes(20000 * 16)).subarray(0, 128 + 12000 * 16);
    expect(await run('-', {}, first)).toMatchObject({
      status: 1,
      stderr: 'sae: standard input ended at byte 1,328, after 75 rows; expected 100, as its header says.\n',
    });
    const late = await run('-', {}, cut);
    expect([late.status, late.stderr]).toEqual([
      1,
      'sae: standard input ended at byte 192,128, after 12,000 rows; expected 20,000, as its header says.\n',
    ]);
    expect(filesIn(late.cwd)).toContain(join('files', 'sae.safetensors'));
  });

  it('prints a header, a line an epoch and where the pictures went', async () => {
    const cwd = folder.make();
    const args = ['train', '--data', rows, '--h_dims', '4', '--epochs', '2', '--validation', heldOut];
    const lines = (await succeeds(args, { cwd })).split('\n');
    const number = '\\d+(?:\\.\\d+)?';
    const values = `loss ${number} {2}mse ${number} {2}R2 -?${number} {2}kl ${number} {2}L0 ${number} {2}dead \\d {2}dense \\d`;
    expect(lines).toEqual([
      'parameters  148 (16-4-16, relu)',
      expect.stringMatching(/^device {6}./),
      'data        rows.npy: 100 rows of 16 values',
      'epochs      2, in batches of 64',
      expect.stringMatching(/^first step {2}\d+\.\d\d s after the start$/),
      expect.stringMatching(new RegExp(`^epoch 1/2 {2}${values} {2}[\\d,]+ samples/s$`)),
      expect.stringMatching(new RegExp(`^epoch 2/2 {2}${values} {2}[\\d,]+ samples/s$`)),
      expect.stringMatching(new RegExp(`^held out {3}${values}$`)),
      `pictures  ${['plot', 'features', 'loss'].map((name) => join('images', `${name}.png`)).join(', ')}`,
      `report    ${join('files', 'report.html')}`,
      'The model was not saved; --save-model saves it.',
      '',
    ]);
    expect(filesIn(cwd)).toEqual(
      [
        'files/metrics.jsonl',
        'files/report.html',
        'files/run.json',
        ...['features', 'loss', 'plot'].map((name) => join('images', `${name}.png`)),
      ].map((name) => join(name)),
    );
  });

  it('--json prints objects only, the epochs as in metrics.jsonl, which each run makes anew', async () => {
    const cwd = folder.make();
    const args = ['--data', rows, '--h_dims', '[5, 3]', '--json', '--no-save-plots', '--validation', heldOut];
    const runs: Record<string, unknown>[][] = [];
    for (const epochs of ['3', '2']) {
      const [first, ...lines] = objects(await succeeds([...args, '--epochs', epochs], { cwd }));
      expect(first).toEqual({ first_step_seconds: expect.any(Number) });
      const ends = lines.splice(Number(epochs));
      expect(ends).toEqual([{ validation: expect.anything() }]);
      expect(Object.keys(ends[0].validation as object)).toEqual([
        'loss',
        'mse',
        'explained_variance',
        'kl',
        'active',
        'dead',
        'dense',
      ]);
      for (const [i, line] of lines.entries()) {
        expect(Object.keys(line)).toEqual(epochKeys);
        expect(Object.values(line).every(Number.isFinite)).toBe(true);
        expect(line.epoch).toBe(i + 1);
      }
      const file = join(cwd, 'files', 'metrics.jsonl');
      expect(objects(readFileSync(file, 'utf8'))).toEqual(lines);
      runs.push(lines.map(figures));
    }
    // The same seed gives the same numbers.
    expect(runs[1]).toEqual(runs[0].slice(0, 2));
    expect(runs[0][2].loss).toBeLessThan(runs[0][0].loss as number);
    expect(filesIn(cwd)).toEqual([join('files', 'metrics.jsonl'), join('files', 'run.json')]);
    const other = objects(await succeeds([...args, '--epochs', '1', '--seed', '7'], { cwd }));
    expect(other[1].loss).not.toBe(runs[0][0].loss);
  });

  it('--steps ends the run within an epoch, which is recorded like the others, with the rates at its end', async () => {
    const cwd = folder.make();
    // Four steps an epoch.
    const run = ['--data', rows, '--batch_size', '25', '--steps', '6', '--lr', '0.01'];
    const schedule = ['--lr_warmup', '2', '--lr_decay', 'linear', '--sparsity_warmup', '8'];
    const refused = await sae([...run, ...schedule, '--no-save-plots'], { cwd });
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('the run has 6') });
    const args = [...run, ...schedule.slice(0, -1), '6', '--save-model'];
    const lines = (await succeeds(args, { cwd })).split('\n');
    expect(lines).toContain('steps       6, in batches of 25');
    expect(lines.filter((line) => line.startsWith('epoch ')).map((line) => line.slice(0, 9))).toEqual([
      'epoch 1/2',
      'epoch 2/2',
    ]);
    expect(filesIn(cwd)).toContain(join('images', 'loss.png'));
    const recorded = objects(readFileSync(join(cwd, 'files', 'metrics.jsonl'), 'utf8'));
    expect(recorded.map((line) => Object.keys(line))).toEqual(
      Array(2).fill([...epochKeys, 'lr', 'sparsity_lambda']),
    );
    // Steps 3 and 5, from 0: 3 and 1 of 4 steps of the decay are left, 3 and 5 of 6 of the warm-up done.
    expect(recorded.map(({ lr, sparsity_lambda }) => [lr, sparsity_lambda])).toEqual([
      [expect.closeTo(0.0075, 12), expect.closeTo(0.1, 12)],
      [expect.closeTo(0.0025, 12), expect.closeTo(1 / 6, 12)],
    ]);
    const { metadata } = readSafetensors(join(cwd, 'files', 'sae.safetensors'));
    const { training } = JSON.parse(readFileSync(join(cwd, 'files', 'run.json'), 'utf8'));
    for (const said of [JSON.parse(metadata.training), training]) {
      expect(said).toMatchObject({
        steps: 6,
        lr: 0.01,
        lr_warmup: 2,
        lr_decay: 'linear',
        sparsity_warmup: 6,
      });
      expect(said).not.toHaveProperty('epochs');
    }
    // It is measured with its own options, and trained further for as long as is asked.
    const init = [
      '--data',
      rows,
      '--init',
      join(cwd, 'files', 'sae.safetensors'),
      '--json',
      '--no-save-plots',
    ];
    expect(await succeeds([...init, '--no-train', '--epochs', '3'], { cwd })).toBe('');
    const further = objects(await succeeds([...init, '--batch_size', '25', '--steps', '3'], { cwd }));
    expect(further.slice(1).map((line) => Object.keys(line))).toEqual([epochKeys]);
  });

  it('--quiet prints nothing', async () => {
    const args = ['--data', rows, '--h_dims', '4', '--epochs', '1', '--quiet', '--save-model'];
    expect(await succeeds(args, { cwd: folder.make() })).toBe('');
  });

  it('auto without MNIST and without network takes the 10,000 digits and says so', async () => {
    const cwd = folder.make();
    const args = ['--no-download-mnist', '--data_dir', cwd, '--epochs', '1', '--no-save-plots', '--json'];
    const { status, stdout, stderr } = await sae(args, { cwd });
    expect([status, objects(stdout).slice(1)]).toEqual([0, [expect.objectContaining({ epoch: 1 })]]);
    expect(stderr).toMatch(
      /^train-images-idx3-ubyte.gz is not in .*\. Using the 10,000 digits .*instead\.\n$/,
    );
  });
});
