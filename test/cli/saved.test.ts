import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Model, openGpu, readDataset, readModelFile } from '../../src/node/index.js';
import { long } from '../support/long.js';
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
const modelName = 'sae.safetensors';

describe('a saved model', () => {
  const cwd = folder.make();
  const file = join(cwd, 'files', modelName);
  const init = ['--init', file, '--data', rows, '--no-save-plots', '--json'];
  let trained: Record<string, unknown>[];

  beforeAll(async () => {
    const args = ['--data', rows, '--h_dims', '[6, 3]', '--activation', 'sigmoid', '--normalize', '0.5,0.25'];
    const run = [...args, '--epochs', '2', '--validation', heldOut, '--save_model', 'True', '--json'];
    trained = objects(await succeeds(run, { cwd })).slice(1);
    expect(trained[2]).toEqual({ model: join('files', modelName) });
  });

  it('holds the weights, configuration and normalisation', () => {
    const { metadata, tensors } = readSafetensors(file);
    expect(Object.entries(tensors).map(([name, { length }]) => [name, length])).toEqual([
      ...[
        ['encoder.0.weight', 96],
        ['encoder.0.bias', 6],
        ['encoder.2.weight', 18],
        ['encoder.2.bias', 3],
      ],
      ...[
        ['decoder.0.weight', 18],
        ['decoder.0.bias', 6],
        ['decoder.2.weight', 96],
        ['decoder.2.bias', 16],
      ],
    ]);
    const { config, normalization } = metadata;
    expect(JSON.parse(config)).toEqual({ in_dims: 16, h_dims: [6, 3], activation: 'sigmoid' });
    expect(JSON.parse(normalization)).toEqual({ mean: 0.5, std: 0.25 });
  });

  it('goes on where it was: its sizes win, the same values are accepted', async () => {
    const before = readFileSync(file);
    const same = [
      '--h_dims',
      '[6,3]',
      '--activation',
      'sigmoid',
      '--normalize',
      '0.5,0.25',
      '--in_dims',
      '16',
    ];
    const [plain, repeated] = await Promise.all(
      [[], same].map((more) => succeeds([...init, '--epochs', '1', ...more], { cwd: folder.make() })),
    );
    const epochs = [plain, repeated].map((text) => objects(text).map(figures));
    expect(epochs[1]).toEqual(epochs[0]);
    expect(epochs[0][1].mse).toBeLessThan(trained[1].mse as number);
    expect(readFileSync(file)).toEqual(before);
  });

  it.each([
    ['--h_dims', '[6]', /has h_dims \[6,3\]/],
    ['--activation', 'relu', /has activation sigmoid/],
    ['--normalize', 'mnist', /has normalize 0\.5,0\.25/],
    ['--normalize', 'unit', /has normalize 0\.5,0\.25/],
    ['--in_dims', '784', /has in_dims 16/],
  ])('refuses %s %s, which differs', async (option, value, sentence) => {
    const empty = folder.make();
    const { status, stdout, stderr } = await sae([...init, option, value], { cwd: empty });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(sentence);
    expect(stderr).toMatch(
      /^sae: The model .* and the option \w+ says otherwise\. Leave the option out\.\n$/,
    );
    expect(filesIn(empty)).toEqual([]);
  });

  it.each([
    ['--encoder_init', 'random'],
    ['--pre_bias_init', 'zero'],
  ])('refuses %s, which is for new models', async (option, value) => {
    const empty = folder.make();
    const { status, stdout, stderr } = await sae([...init, option, value], { cwd: empty });
    expect([status, stdout]).toEqual([2, '']);
    const sentence = ' says how a new model starts, and .* is a saved one\\. Leave the option out\\.\n$';
    expect(stderr).toMatch(new RegExp(`^sae: ${option.slice(2)}${sentence}`));
    expect(filesIn(empty)).toEqual([]);
  });

  it('--train False draws its pictures only, with held-out figures as they were', async () => {
    const empty = folder.make();
    const args = ['--train', 'False', '--init', file, '--data', rows, '--validation', heldOut, '--json'];
    const lines = objects(await succeeds(args, { cwd: empty }));
    const pictures = ['plot', 'features'].map((name) => join('images', `${name}.png`));
    const report = join('files', 'report.html');
    expect(lines).toEqual([trained[3], { pictures }, { report }]);
    expect(filesIn(empty)).toEqual([report, ...[...pictures].sort()]);
  });

  it('--train False needs --init', async () => {
    const { status, stderr } = await sae(['--train', 'False', '--data', rows], { cwd: folder.make() });
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^sae: train False .* --init PATH\.\n$/)]);
  });

  it('reconstruct measures it as train did, and draws', async () => {
    const empty = folder.make();
    const args = ['reconstruct', file, '--data', heldOut, '--num_samples', '3'];
    const lines = objects(await succeeds([...args, '--json'], { cwd: empty }));
    const pictures = ['plot', 'features'].map((name) => join('images', `${name}.png`));
    expect(lines).toEqual([trained[3].validation, { pictures }]);
    expect(filesIn(empty)).toEqual([...pictures].sort());
    expect(await succeeds(args, { cwd: empty })).toMatch(/^held-out\.npy {3}loss .*\npictures {2}/);
  });

  it('encode writes what Model.encode gives, as .npy', async () => {
    const out = join(cwd, 'codes.npy');
    expect(await succeeds(['encode', file, '--data', rows, '--out', out], { cwd })).toBe(
      `${out}  100 rows of 3 latents\n`,
    );
    const content = readFileSync(out);
    expect(content.toString('latin1', 0, 8)).toBe('\x93NUMPY\x01\x00');
    const begin = 10 + content.readUInt16LE(8);
    expect(begin % 64).toBe(0);
    expect(content.toString('latin1', 10, begin).trimEnd()).toBe(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (100, 3), }",
    );
    const codes = new Float32Array(Uint8Array.from(content.subarray(begin)).buffer);

    const { config, parameters, normalization } = await readModelFile(file);
    const gpu = await openGpu();
    try {
      const model = await Model.from(gpu, config, parameters);
      expect(codes).toEqual(await model.encode(await readDataset(rows, { normalize: normalization })));
    } finally {
      gpu.close();
    }
  });
});

it.runIf(long)(
  'encode agrees with the original’s class in PyTorch, where that is installed',
  async (context) => {
    const cwd = folder.make();
    const values = Float32Array.from(bytes(40 * 6), (byte) => byte / 128 - 1);
    const floats = folder.write('floats.npy', npy([40, 6], values));
    await succeeds(
      ['--data', floats, '--h_dims', '[8, 5]', '--epochs', '2', '--lr', '0.01', '--save-model'],
      {
        cwd,
      },
    );
    const file = join(cwd, 'files', modelName);
    await succeeds(['encode', file, '--data', floats, '--out', 'codes.npy'], { cwd });
    const script = fileURLToPath(new URL('../fixtures/pytorch/load_model.py', import.meta.url));
    for (const python of ['python3', '/usr/bin/python3']) {
      const { status, stdout, stderr } = spawnSync(python, [script, file, floats], { encoding: 'utf8' });
      if (status === 0) {
        const content = readFileSync(join(cwd, 'codes.npy'));
        const codes = new Float32Array(
          Uint8Array.from(content.subarray(10 + content.readUInt16LE(8))).buffer,
        );
        const expected: number[] = JSON.parse(stdout).hidden.flat();
        expect(expected.some((value) => value > 0)).toBe(true);
        expect(codes).toHaveLength(expected.length);
        expect(Math.max(...expected.map((value, i) => Math.abs(value - codes[i])))).toBeLessThan(1e-5);
        return;
      }
      expect(stderr ?? 'ModuleNotFoundError').toContain('ModuleNotFoundError');
    }
    context.skip();
  },
);
