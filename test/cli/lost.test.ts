import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { decodeModel, readModelFile } from '../../src/node/index.js';
import { long } from '../support/long.js';
import { bytes, filesIn, npy, objects, type Running, sae, start, succeeds, temporaryFolder } from './sae.js';

// What was learned is not lost to what goes wrong beside it, and what is there is not lost to something worse.

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([50, 16], bytes(800)));
const labels = folder.write('labels.txt', 'row\n'.repeat(50));
const many = folder.write('many.npy', npy([20_000, 16], bytes(320_000)));
const model = join('files', 'sae.safetensors');
const partial = join('files', 'sae.partial.safetensors');
const endless = ['--data', many, '--epochs', '1000000', '--no-save-plots'];
const read = (cwd: string, file: string) => readFileSync(join(cwd, file));
const posix = process.platform !== 'win32';

/** A folder with a model, its metrics and its run. */
async function earlier(h_dims = '4'): Promise<string> {
  const cwd = folder.make();
  await succeeds(['--data', rows, '--h_dims', h_dims, '--epochs', '2', '--save-model', '--no-save-plots'], {
    cwd,
  });
  return cwd;
}

/** Has the process stop before its first step. */
const signalAtOnce = (name: string) => [
  '--import',
  `data:text/javascript,setTimeout(() => process.kill(process.pid, '${name}'), 0)`,
];

describe.skipIf(!posix)('a run that is stopped', () => {
  const signals = [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    // What batch systems are told to send some time before the end.
    ['SIGUSR1', 138],
  ] as const;
  it.each(long ? signals : signals.slice(0, 1))('by %s saves its model', async (name, expected) => {
    const cwd = folder.make();
    const { child, ended, says }: Running = start([...endless, '--save-model'], { cwd });
    await says(/epoch +2\/1000000 /);
    child.kill(name);
    const { status, stdout } = await ended;
    expect(status).toBe(expected);
    expect(stdout).toContain('\nStopping after the current steps; send another signal to quit at once.\n');
    expect(stdout).toContain(`\nmodel     ${model}\n`);
    expect((await readModelFile(join(cwd, model))).config.h_dims).toEqual([20]);
  });

  it.runIf(long)('by the limit of its processor time saves its model', async () => {
    const cwd = folder.make();
    const limited = { cwd, shell: true, before: 'ulimit -St 3' };
    const { status, stdout } = await start([...endless, '--save-model'], limited).ended;
    expect(status).toBe(152);
    expect(stdout).toContain(`\nmodel     ${model}\n`);
  });

  it.runIf(long)('by nobody, where nohup keeps it when its terminal closes', async () => {
    const cwd = folder.make();
    const { child, ended, says } = start([...endless, '--save-model'], { cwd, env: { _: '/usr/bin/nohup' } });
    await says(/epoch +2\/1000000 /);
    child.kill('SIGHUP');
    await says(/epoch +6\/1000000 /);
    child.kill('SIGTERM');
    expect((await ended).status).toBe(143);
  });

  it.runIf(long)('by npm, which ends with the shell that it runs scripts in, saves its model', async () => {
    const cwd = folder.make();
    const { child, ended, says } = start([...endless, '--save-model'], {
      cwd,
      shell: true,
      env: { npm_lifecycle_event: 'start' },
    });
    await says(/epoch +2\/1000000 /);
    child.kill('SIGTERM');
    const { stdout } = await ended;
    expect(stdout).toContain(`\nmodel     ${model}\n`);
    expect((await readModelFile(join(cwd, model))).config.h_dims).toEqual([20]);
  });

  it('by a reader of its output that goes away saves its model', async () => {
    const cwd = folder.make();
    const { child, ended, says } = start([...endless, '--save-model'], { cwd });
    await says(/epoch +1\/1000000 /);
    child.stdout?.destroy();
    const { status, stderr } = await ended;
    expect([status, stderr]).toEqual([1, '']);
    expect((await readModelFile(join(cwd, model))).config.h_dims).toEqual([20]);
  });

  it.runIf(long)('before its first step leaves all that is there', async () => {
    const cwd = await earlier();
    const before = filesIn(cwd).map((file) => read(cwd, file));
    const args = [...endless, '--save-model'];
    const { status, stdout } = await sae(args, { cwd, node: signalAtOnce('SIGTERM') });
    // Where the signal came before anything listened to it, it ended the process.
    if (status !== null) {
      expect(status).toBe(143);
      expect(stdout).not.toContain('\nmodel ');
    }
    expect(filesIn(cwd).map((file) => read(cwd, file))).toEqual(before);
  });

  it.runIf(long)('in its first epoch does not put its model in the place of an earlier one', async () => {
    const cwd = await earlier();
    const before = read(cwd, model);
    const metrics = read(cwd, join('files', 'metrics.jsonl'));
    const lasting = folder.write('long.npy', npy([400_000, 16], bytes(6_400_000)));
    const args = ['--data', lasting, '--batch_size', '8', '--save-model', '--json'];
    const { child, ended, says } = start(args, { cwd });
    await says(/first_step_seconds/);
    child.kill('SIGINT');
    const { status, stdout } = await ended;
    expect(status).toBe(130);
    expect(objects(stdout)).toContainEqual({ model: partial });
    expect((await readModelFile(join(cwd, partial))).config.h_dims).toEqual([20]);
    expect(read(cwd, model)).toEqual(before);
    expect(read(cwd, join('files', 'metrics.jsonl'))).toEqual(metrics);
    expect(filesIn(cwd).some((file) => file.startsWith('images'))).toBe(false);
  });
});

describe('a record of epochs that cannot be written any more', () => {
  it.runIf(long && process.platform === 'linux')('is said, and the model is saved all the same', async () => {
    const cwd = folder.make();
    // A device that is always full.
    mkdirSync(join(cwd, 'files'));
    symlinkSync('/dev/full', join(cwd, 'files', 'metrics.jsonl'));
    for (const [asked, kept] of [
      ['--save-model', model],
      ['--save-plots', join('files', 'sae.rescued.safetensors')],
    ]) {
      const { status, stdout, stderr } = await sae(
        ['--data', rows, '--epochs', '3', '--h_dims', '4', asked],
        {
          cwd,
        },
      );
      const sentence = `${join('files', 'metrics.jsonl')} cannot be written: the disk is full.`;
      expect([status, stderr]).toEqual([1, `sae: ${sentence}\n`]);
      expect(stdout.split(`${sentence} Training goes on.`)).toHaveLength(2);
      expect(stdout).toMatch(/epoch 3\/3 /);
      expect((await readModelFile(join(cwd, kept))).config.h_dims).toEqual([4]);
    }
  });

  it.skipIf(process.platform !== 'linux')('nor one of steps, beside others that can', async () => {
    const cwd = folder.make();
    symlinkSync('/dev/full', join(cwd, 'steps.csv'));
    const logs = ['--step_metrics', 'steps.csv', '--epoch_metrics', 'more/epochs.csv', '--save-model'];
    const { status, stdout, stderr } = await sae(
      ['--data', rows, '--epochs', '3', '--h_dims', '4', '--no-save-plots', ...logs],
      { cwd },
    );
    const sentence = 'steps.csv cannot be written: the disk is full.';
    expect([status, stderr]).toEqual([1, `sae: ${sentence}\n`]);
    expect(stdout.split(`${sentence} Training goes on.`)).toHaveLength(2);
    expect(read(cwd, join('more', 'epochs.csv')).toString()).toMatch(/^epoch,.*\n1,.*\n2,.*\n3,.*\n$/);
    expect((await readModelFile(join(cwd, model))).config.h_dims).toEqual([4]);
  });

  it.runIf(long && posix)('has all of them again, once it can be written', async () => {
    const cwd = folder.make();
    mkdirSync(join(cwd, 'files', 'gone'), { recursive: true });
    writeFileSync(join(cwd, 'files', 'gone', 'metrics.jsonl'), '');
    symlinkSync(join('gone', 'metrics.jsonl'), join(cwd, 'files', 'metrics.jsonl'));
    const { child, ended, says } = start([...endless, '--json'], { cwd });
    await says(/"epoch":1,/);
    // At once, while more is written there.
    renameSync(join(cwd, 'files', 'gone'), join(cwd, 'gone'));
    await says(/metrics.jsonl cannot be written: the folder does not exist. Training goes on./);
    mkdirSync(join(cwd, 'files', 'gone'));
    await expect.poll(() => existsSync(join(cwd, 'files', 'metrics.jsonl'))).toBe(true);
    child.kill('SIGTERM');
    expect((await ended).status).toBe(143);
    const lines = read(cwd, join('files', 'metrics.jsonl')).toString().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).epoch)).toEqual(lines.map((_, i) => i + 1));
  });
});

describe('a file of somebody else', () => {
  /** A safetensors file of a tensor, with this as metadata. */
  function foreign(metadata: Record<string, string>): Buffer {
    const tensor = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
    const header = JSON.stringify({ __metadata__: metadata, W_enc: tensor });
    const length = Buffer.alloc(8);
    length.writeUInt32LE(header.length);
    return Buffer.concat([length, Buffer.from(header), Buffer.alloc(4)]);
  }

  it.each([
    ['files', 'sae.safetensors', foreign({})],
    ['files', 'sae.safetensors', foreign({ config: '{"d_sae": 1}' })],
    ['files', 'sae.safetensors', foreign({ config: '{"activation": "relu", "d_sae": 1}' })],
    ['files', 'metrics.jsonl', Buffer.from('{"step": 1}\n')],
    ['files', 'run.json', Buffer.from('{"name": "mine"}')],
    ['files', 'steps.csv', Buffer.from('step,loss\n1,0.5\n')],
    ['files', 'latents.csv', Buffer.from('latent,mine\n1,2\n')],
    ['files', 'report.html', Buffer.from('<!doctype html><p>My own')],
    ['files', 'densities.safetensors', foreign({})],
    ['images', 'plot.png', Buffer.from('not even a picture')],
    ['images', 'features.webp', Buffer.from('RIFF, and a picture')],
    // As sharp writes them, without our name.
    ['images', 'features.png', readFileSync(join(import.meta.dirname, '../../images/readme/page.png'))],
  ])('is not replaced: %s/%s', async (where, name, content) => {
    const cwd = folder.make();
    const place = join(where, name);
    mkdirSync(join(cwd, where));
    writeFileSync(join(cwd, place), content);
    const { status, stdout, stderr } = await sae(
      [
        '--data',
        rows,
        '--labels',
        labels,
        '--save-model',
        '--step_metrics',
        join('files', 'steps.csv'),
        '--animate',
        '2',
      ],
      { cwd },
    );
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      `sae: ${place} was not made by this program, or is damaged, so it is not replaced. Move it, or choose another folder.\n`,
    );
    expect(read(cwd, place)).toEqual(content);
  });

  it.runIf(long)('is told from ours, all of which a second run replaces', async () => {
    const cwd = folder.make();
    const args = ['--data', rows, '--epochs', '1', '--h_dims', '4', '--image_shape', '4,4', '--save-model'];
    await succeeds(args, { cwd });
    const times = () => filesIn(cwd).map((file) => statSync(join(cwd, file)).mtimeMs);
    const before = times();
    expect(before).toHaveLength(8);
    await succeeds(args, { cwd });
    expect(times().map((time, i) => time > before[i])).toEqual(before.map(() => true));
  });

  it('that is read is not what is written', async () => {
    const cwd = await earlier();
    const before = read(cwd, model);
    for (const out of [model, rows]) {
      const { status, stderr } = await sae(['encode', model, '--data', rows, '--out', out], { cwd });
      expect([status, stderr]).toEqual([
        2,
        `sae: out is ${out}, which is also read and would be overwritten. Choose another file.\n`,
      ]);
    }
    expect(read(cwd, model)).toEqual(before);
    // A place that cannot be looked at is refused as one that cannot be written.
    symlinkSync('circle.npy', join(cwd, 'circle.npy'));
    const { status, stderr } = await sae(['encode', model, '--data', rows, '--out', 'circle.npy'], { cwd });
    expect([status, stderr]).toEqual([1, 'sae: circle.npy cannot be written: its links lead in a circle.\n']);
  });
});

describe('whatever is written at the end is looked at before the beginning', () => {
  it.each([
    'metrics.jsonl',
    'report.html',
    'run.json',
    'sae.safetensors',
    'plot.png',
    'features.png',
    'loss.png',
  ])('%s', async (name) => {
    const cwd = folder.make();
    const place = join(name.endsWith('.png') ? 'images' : 'files', name);
    mkdirSync(join(cwd, place), { recursive: true });
    const { status, stdout, stderr } = await sae(['--data', rows, '--save-model'], { cwd });
    expect([status, stdout, stderr]).toEqual([1, '', `sae: ${place} cannot be written: it is a folder.\n`]);
  });
});

it.skipIf(!posix)('a limit of open files at which not even the program can be loaded is said', async () => {
  const { status, stderr } = await sae(['--data', rows], {
    cwd: folder.make(),
    shell: true,
    before: 'ulimit -n 20',
  });
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(
      /^sae: The program cannot be loaded: EMFILE: [^\n]+ \(`ulimit -n`\), allow 256\.\n$/,
    ),
  ]);
});

describe('a disk', () => {
  it.skipIf(process.getuid?.() !== 0)(
    'that fills while the model is saved keeps the old one',
    async (context) => {
      const cwd = folder.make();
      const disk = join(cwd, 'files');
      mkdirSync(disk);
      if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'tmpfs', disk]).status !== 0) {
        context.skip('No file system can be mounted here.');
      }
      try {
        const train = (h_dims: string, ...more: string[]) =>
          sae(
            ['--data', rows, '--h_dims', h_dims, '--epochs', '1', '--save-model', '--no-save-plots', ...more],
            { cwd },
          );
        expect((await train('20')).status).toBe(0);
        const before = read(cwd, model);
        // 16,848 bytes, for which there seems to be room, and is none beside the old one.
        const none = await train('200', '--quiet');
        expect(none).toEqual({
          status: 1,
          stdout: '',
          stderr: expect.stringMatching(
            /^sae: The disk of files has 0\.0\d* MB free, and the model needs 0\.0\d* MB\./,
          ),
        });
        expect(read(cwd, model)).toEqual(before);
      } finally {
        spawnSync('umount', [disk]);
      }
    },
  );

  it.skipIf(!posix)(
    'on which the model cannot be replaced: it goes to the temporary folder, and that is said',
    async () => {
      const cwd = folder.make();
      const elsewhere = folder.make();
      const args = [...endless, '--h_dims', '3', '--save-model'];
      const { child, ended, says } = start(args, { cwd, env: { TMPDIR: elsewhere } });
      await says(/epoch +1\/1000000 /);
      mkdirSync(join(cwd, model));
      child.kill('SIGTERM');
      const { status, stderr } = await ended;
      const [, file] = /: it is a folder\. It was saved as (\S+) instead\.\n$/.exec(stderr) ?? [];
      expect(status).toBe(1);
      expect(file.startsWith(elsewhere)).toBe(true);
      expect(decodeModel(readFileSync(file), file).config.h_dims).toEqual([3]);
    },
  );
});

describe('pictures that cannot be drawn', () => {
  it.runIf(long)('are refused before the training, not after it', async () => {
    const cwd = folder.make();
    // No binary of sharp's, as after an installation without optional dependencies.
    const hooks = folder.write(
      'hooks.mjs',
      `export async function resolve(name, context, next) {
        if (name === 'sharp') throw new Error('Could not load the sharp module');
        return next(name, context);
      }`,
    );
    const broken = folder.write(
      'broken.mjs',
      `import { register } from 'node:module'; register(${JSON.stringify(pathToFileURL(hooks))});`,
    );
    const { status, stdout, stderr } = await sae(['--data', rows, '--epochs', '1'], {
      cwd,
      node: ['--import', broken],
    });
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sae: sharp, which draws the pictures, could not be loaded .*--no-save-plots/);
    const without = ['--data', rows, '--epochs', '1', '--no-save-plots', '--save-model'];
    expect((await sae(without, { cwd, node: ['--import', broken] })).status).toBe(0);
  });

  it.runIf(long)('are drawn where nothing can be written but the results’ folders', async () => {
    const cwd = folder.make();
    const args = ['--data', rows, '--epochs', '1', '--save-model'];
    await succeeds(args, { cwd, env: { TMPDIR: '/nowhere' } });
    const pictures = ['features', 'loss', 'plot'].map((name) => join('images', `${name}.png`));
    expect(filesIn(cwd).filter((file) => file.startsWith('images'))).toEqual(pictures);
  });

  it('at the end leave the model, also where nobody asked for it', async () => {
    const cwd = folder.make();
    const { child, ended, says } = start(['--data', many, '--epochs', '1000000', '--h_dims', '5'], { cwd });
    await says(/epoch +1\/1000000 /);
    mkdirSync(join(cwd, 'images', 'plot.png'));
    child.kill('SIGTERM');
    const { status, stdout, stderr } = await ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/^sae: The picture images\/plot\.png cannot be written \(it is a folder\)/);
    const file = join('files', 'sae.rescued.safetensors');
    expect(stdout).toContain(`\nNot all results could be produced, so the model was saved as ${file}.\n`);
    expect((await readModelFile(join(cwd, file))).config.h_dims).toEqual([5]);
  });
});

it('a model of another program is read with the activation that is given, and what is not understood is said', async () => {
  const cwd = await earlier();
  const saved = read(cwd, model);
  const length = Number(saved.readBigUInt64LE(0));
  const header = JSON.parse(saved.toString('utf8', 8, 8 + length));
  header.__metadata__ = { config: 'v1 mnist run' };
  const text = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(cwd, 'other.safetensors'), Buffer.concat([start, text, saved.subarray(8 + length)]));
  const args = ['--init', 'other.safetensors', '--data', rows, '--epochs', '1', '--no-save-plots'];
  const stdout = await succeeds([...args, '--activation', 'sigmoid'], { cwd });
  expect(stdout).toContain(
    'The model other.safetensors comes from another program or a later version: its metadata (config) is not understood and was ignored.\n',
  );
  expect(stdout).toContain('(16-4-16, sigmoid)');
  const { status, stderr } = await sae(['--init', model, '--activation', 'sigmoid', '--data', rows], { cwd });
  expect([status, stderr]).toEqual([
    2,
    `sae: The model ${model} has activation relu, and the option activation says otherwise. Leave the option out.\n`,
  ]);
});

it('a training in which no latent is active says so, once', async () => {
  const args = ['--data', rows, '--h_dims', '3', '--epochs', '4', '--lr', '30', '--no-save-plots'];
  const stdout = await succeeds(args, { cwd: folder.make() });
  expect(stdout.match(/All latents are dead: none was active/g)).toHaveLength(1);
});

it.each([
  [
    ['--h_dims', '[256,', '128,', '64]'],
    'h_dims was given in several words. Put it in quotes: --h_dims "[256, 128, 64]"',
  ],
  [['--save_model', 'yes'], 'save_model must be True or False, or stand alone, and is followed by "yes".'],
])('%j is understood, and refused', async (args, sentence) => {
  const { status, stderr } = await sae(args, { cwd: folder.make() });
  expect([status, stderr]).toEqual([2, `sae: ${sentence}\n`]);
});
