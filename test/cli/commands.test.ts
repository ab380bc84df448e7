import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { Model, openGpu, readDataset, readModelFile } from '../../src/node/index.js';
import {
  bytes,
  digitsFile,
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
const epochKeys = ['epoch', 'loss', 'mse', 'kl', 'active', 'dead', 'samples_per_second', 'seconds'];
const modelName = 'sae.safetensors';

describe.concurrent('help', () => {
  it('sae --help shows train with its defaults and examples, and every command', async () => {
    const help = await succeeds(['--help'], { cwd: folder.path });
    const text = help.replace(/\s+/g, ' ');
    const defaults = {
      'in-dims': '784',
      'h-dims': '"[20]"',
      activation: '"relu"',
      'batch-size': '64',
      epochs: '20',
      lr: '0.0001',
      'sparsity-lambda': '0.2',
      'sparsity-target': '0.01',
      shuffle: 'True',
      train: 'True',
      'save-model': 'False',
      'save-plots': 'True',
      'files-dir': '"files"',
      'images-dir': '"images"',
      'download-mnist': 'True',
      'num-samples': '5',
      seed: '42',
    };
    // An option begins a line; its description may go on over several.
    const options = help.split(/^ {2}(?=-)/m).map((option) => option.replace(/\s+/g, ' '));
    for (const [name, standard] of Object.entries(defaults)) {
      const option = options.find((words) => words.startsWith(`--${name} `));
      expect(option).toContain(`(default: ${standard})`);
    }
    expect(text).toContain('choices: "auto", "mnist", "mnist-10k", default: "auto"');
    for (const name of ['init', 'data', 'validation', 'normalize', 'data-dir', 'adapter', 'quiet', 'json']) {
      expect(text).toContain(` --${name} `);
    }
    for (const command of ['train', 'reconstruct', 'encode', 'devices']) {
      expect(text).toContain(` ${command} `);
    }
    expect(text).toContain('$ sae --epochs 100 --h_dims "[256, 128, 64]"');
  });

  it('sae train --help and --version', async () => {
    const help = await succeeds(['train', '--help'], { cwd: folder.path });
    expect(help).toMatch(/^Usage: sae train \[options\]/);
    expect(help).toContain('$ sae --init files/sae.safetensors');
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await succeeds(['--version'], { cwd: folder.path })).toBe(`${version}\n`);
  });
});

describe.concurrent('devices', () => {
  it('lists adapters, exactly one of which is used, for people and as JSON', async () => {
    const adapters = objects(await succeeds(['devices', '--json'], { cwd: folder.path }));
    expect(adapters.filter(({ used }) => used)).toHaveLength(1);
    for (const { name, backend, software, limits, features } of adapters) {
      expect(name).toMatch(/./);
      expect(backend).toMatch(/^(vulkan|metal|d3d12)$/);
      expect(typeof software).toBe('boolean');
      expect((limits as Record<string, number>).maxStorageBufferBindingSize).toBeGreaterThanOrEqual(2 ** 27);
      expect(features).toContain('core-features-and-limits');
    }
    const text = await succeeds(['devices'], { cwd: folder.path });
    for (const { name, software, used } of adapters) {
      expect(text).toContain(`${name}\n  backend `);
      expect(text).toMatch(software ? / {2}kind +software: / : / {2}kind +GPU\n/);
      expect(text).toMatch(used ? / {2}used +yes: / : / {2}used +with --adapter /);
    }
    expect(text).toMatch(/maxStorageBufferBindingSize +[\d,]+\n/);
  });
});

describe.concurrent('rows of one’s own', () => {
  it('prints a header, a line an epoch and where the pictures went', async () => {
    const cwd = folder.make();
    const args = ['train', '--data', rows, '--h_dims', '4', '--epochs', '2', '--validation', heldOut];
    const lines = (await succeeds(args, { cwd })).split('\n');
    const number = '\\d+(?:\\.\\d+)?';
    const values = `loss ${number} {2}mse ${number} {2}kl ${number} {2}active ${number} {2}dead \\d`;
    expect(lines).toEqual([
      'parameters  148 (16-4 and back, relu)',
      expect.stringMatching(/^device {6}./),
      'data        rows.npy: 100 rows of 16 values',
      'epochs      2, in batches of 64',
      expect.stringMatching(/^first step {2}\d+\.\d\d s after the start$/),
      expect.stringMatching(new RegExp(`^epoch 1/2 {2}${values} {2}[\\d,]+ samples/s$`)),
      expect.stringMatching(new RegExp(`^epoch 2/2 {2}${values} {2}[\\d,]+ samples/s$`)),
      expect.stringMatching(new RegExp(`^held out {3}${values}$`)),
      `pictures  ${['plot', 'features', 'loss'].map((name) => join('images', `${name}.png`)).join(', ')}`,
      'The model was not saved; --save-model saves it.',
      '',
    ]);
    expect(filesIn(cwd)).toEqual(
      [
        'files/metrics.jsonl',
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
      expect(Object.keys(ends[0].validation as object)).toEqual(['loss', 'mse', 'kl', 'active', 'dead']);
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

describe.concurrent('a saved model', () => {
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

  it('--train False draws its pictures only, with held-out figures as they were', async () => {
    const empty = folder.make();
    const args = ['--train', 'False', '--init', file, '--data', rows, '--validation', heldOut, '--json'];
    const lines = objects(await succeeds(args, { cwd: empty }));
    const pictures = ['plot', 'features'].map((name) => join('images', `${name}.png`));
    expect(lines).toEqual([trained[3], { pictures }]);
    expect(filesIn(empty)).toEqual([...pictures].sort());
  });

  it('--train False needs --init', async () => {
    const { status, stderr } = await sae(['--train', 'False', '--data', rows], { cwd: folder.make() });
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^sae: train False .* --init FILE\.\n$/)]);
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
      `${out}  100 rows of 3 hidden activations\n`,
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

it.concurrent('encode agrees with the original’s class in PyTorch, where that is installed', async (context) => {
  const cwd = folder.make();
  const values = Float32Array.from(bytes(40 * 6), (byte) => byte / 128 - 1);
  const floats = folder.write('floats.npy', npy([40, 6], values));
  await succeeds(['--data', floats, '--h_dims', '[8, 5]', '--epochs', '2', '--lr', '0.01', '--save-model'], {
    cwd,
  });
  const file = join(cwd, 'files', modelName);
  await succeeds(['encode', file, '--data', floats, '--out', 'codes.npy'], { cwd });
  const script = fileURLToPath(new URL('../fixtures/pytorch/load_model.py', import.meta.url));
  for (const python of ['python3', '/usr/bin/python3']) {
    const { status, stdout, stderr } = spawnSync(python, [script, file, floats], { encoding: 'utf8' });
    if (status === 0) {
      const content = readFileSync(join(cwd, 'codes.npy'));
      const codes = new Float32Array(Uint8Array.from(content.subarray(10 + content.readUInt16LE(8))).buffer);
      const expected: number[] = JSON.parse(stdout).hidden.flat();
      expect(expected.some((value) => value > 0)).toBe(true);
      expect(codes).toHaveLength(expected.length);
      expect(Math.max(...expected.map((value, i) => Math.abs(value - codes[i])))).toBeLessThan(1e-5);
      return;
    }
    expect(stderr ?? 'ModuleNotFoundError').toContain('ModuleNotFoundError');
  }
  context.skip();
});

/** A PNG's pixels, 8 bits a channel: red, green and blue, or grey. */
async function pixelsOf(file: string, space: 'srgb' | 'b-w') {
  expect((await sharp(file).metadata()).space).toBe(space);
  const { data, info } = await sharp(file).toColourspace(space).raw().toBuffer({ resolveWithObject: true });
  return { data, ...info };
}

/** The rectangles that are wholly surrounded by white and at least `least` pixels wide and high, in reading order. */
async function tilesOf(file: string, least: number) {
  const { data, width, height } = await pixelsOf(file, 'b-w');
  const seen = new Uint8Array(width * height);
  const tiles: { left: number; top: number; width: number; height: number }[] = [];
  for (let at = 0; at < seen.length; at++) {
    if (seen[at] || data[at] === 255) continue;
    let [left, right, top, bottom] = [width, 0, height, 0];
    const stack = [at];
    seen[at] = 1;
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const [x, y] = [next % width, Math.floor(next / width)];
      [left, right, top, bottom] = [
        Math.min(left, x),
        Math.max(right, x),
        Math.min(top, y),
        Math.max(bottom, y),
      ];
      for (const neighbour of [next - 1, next + 1, next - width, next + width]) {
        if (data[neighbour] !== undefined && data[neighbour] !== 255 && !seen[neighbour]) {
          seen[neighbour] = 1;
          stack.push(neighbour);
        }
      }
    }
    if (right - left + 1 >= least && bottom - top + 1 >= least) {
      tiles.push({ left, top, width: right - left + 1, height: bottom - top + 1 });
    }
  }
  const grey = (tile: { left: number; top: number }, factor: number, h: number, w: number) =>
    Uint8Array.from({ length: h * w }, (_, i) => {
      const [x, y] = [tile.left + (i % w) * factor, tile.top + Math.floor(i / w) * factor];
      return data[y * width + x];
    });
  return { tiles: tiles.sort((a, b) => a.top - b.top || a.left - b.left), grey };
}

/** weight · input + bias, in float64. */
function linear(input: Float64Array, weight: Float32Array, bias: Float32Array): Float64Array {
  return Float64Array.from(bias, (start, row) =>
    input.reduce((sum, value, i) => sum + value * weight[row * input.length + i], start),
  );
}

describe.concurrent('an epoch of 10,000 real digits', () => {
  const cwd = folder.make();
  const images = (name: string) => join(cwd, 'images', name);
  const samples = 4;

  beforeAll(async () => {
    const args = [
      '--dataset',
      'mnist-10k',
      '--epochs',
      '1',
      '--num-samples',
      String(samples),
      '--save-model',
    ];
    const lines = objects(await succeeds([...args, '--json'], { cwd })).slice(1);
    expect(lines).toHaveLength(3);
    // What PyTorch's original gives after its first epoch is 1.33 and 1.006; a zero image has an MSE of 1.016.
    expect(lines[0].loss).toBeGreaterThan(1.28);
    expect(lines[0].loss).toBeLessThan(1.4);
    expect(lines[0].mse).toBeLessThan(1.06);
  });

  it('plot.png shows digits of the data above reconstructions of them', async () => {
    const { tiles, grey } = await tilesOf(images('plot.png'), 28);
    expect(tiles).toHaveLength(2 * samples);
    const factor = tiles[0].width / 28;
    expect(Number.isInteger(factor)).toBe(true);
    for (const [i, tile] of tiles.entries()) {
      expect([tile.width, tile.height]).toEqual([28 * factor, 28 * factor]);
      expect(tile.left).toBe(tiles[i % samples].left);
      expect(tile.top).toBe(tiles[i < samples ? 0 : samples].top);
    }
    const digits = gunzipSync(readFileSync(digitsFile)).subarray(16);
    const { tensors } = readSafetensors(join(cwd, 'files', modelName));
    for (let i = 0; i < samples; i++) {
      // The scale runs from black to white, as the digits do: byte for byte one of them.
      const digit = grey(tiles[i], factor, 28, 28);
      expect(new Set(digit).size).toBeGreaterThan(2);
      expect(digits.includes(Buffer.from(digit))).toBe(true);
      const input = Float64Array.from(digit, (byte) => (byte / 255 - 0.1307) / 0.3081);
      const hidden = linear(input, tensors['encoder.0.weight'], tensors['encoder.0.bias']).map((value) =>
        Math.max(0, value),
      );
      const output = linear(hidden, tensors['decoder.0.weight'], tensors['decoder.0.bias']);
      const shown = grey(tiles[samples + i], factor, 28, 28);
      expect(new Set(shown).size).toBeGreaterThan(2);
      const worst = shown.reduce((most, byte, pixel) => {
        const expected = 255 * Math.min(1, Math.max(0, output[pixel] * 0.3081 + 0.1307));
        return Math.max(most, Math.abs(byte - expected));
      }, 0);
      expect(worst).toBeLessThan(0.51);
    }
  });

  it('features.png shows the first layer’s weights', async () => {
    const { data, width, height } = await pixelsOf(images('features.png'), 'b-w');
    const weights = readSafetensors(join(cwd, 'files', modelName)).tensors['encoder.0.weight'];
    const [columns, rowsOfTiles] = [5, 4];
    const step = (width - 1) / columns;
    const factor = (step - 1) / 28;
    expect([(height - 1) / rowsOfTiles, factor % 1]).toEqual([step, 0]);
    for (let unit = 0; unit < 20; unit++) {
      const own = weights.subarray(unit * 784, (unit + 1) * 784);
      const largest = Math.max(...own.map(Math.abs));
      const left = 1 + (unit % columns) * step;
      const top = 1 + Math.floor(unit / columns) * step;
      const worst = own.reduce((most, weight, i) => {
        const [x, y] = [left + (i % 28) * factor, top + Math.floor(i / 28) * factor];
        return Math.max(most, Math.abs(data[y * width + x] - (128 + (127 * weight) / largest)));
      }, 0);
      expect(worst).toBeLessThan(1);
    }
  });

  it('loss.png has three curves in colour on white, and text', async () => {
    const { data, width, height, channels } = await pixelsOf(images('loss.png'), 'srgb');
    expect([width, height, channels]).toEqual([1600, 900, 3]);
    const colours = new Map<string, number>();
    let [white, dark] = [0, 0];
    for (let at = 0; at < data.length; at += 3) {
      const [r, g, b] = data.subarray(at, at + 3);
      if (Math.min(r, g, b) > 250) white += 1;
      if (Math.max(r, g, b) < 80) dark += 1;
      if (Math.max(r, g, b) - Math.min(r, g, b) > 80) {
        const name = `${r},${g},${b}`;
        colours.set(name, (colours.get(name) ?? 0) + 1);
      }
    }
    expect(white).toBeGreaterThan(0.8 * width * height);
    expect(dark).toBeGreaterThan(500);
    expect([...colours.values()].filter((count) => count > 100).length).toBeGreaterThanOrEqual(3);
  });
});

describe.concurrent('rows that are not squares', () => {
  it('are drawn in the shape that their file has', async () => {
    const cwd = folder.make();
    const images = folder.write('images.npy', npy([24, 3, 5], bytes(360)));
    await succeeds(
      ['--data', images, '--epochs', '1', '--num_samples', '2', '--h_dims', '3', '--save-model'],
      { cwd },
    );
    const { tiles } = await tilesOf(join(cwd, 'images', 'plot.png'), 30);
    expect(tiles).toHaveLength(4);
    for (const { width, height } of tiles) {
      expect(width * 3).toBe(height * 5);
    }
    // The saved model knows it, for rows that come without a shape.
    const flat = folder.write('flat.npy', npy([24, 15], bytes(360)));
    const file = join(cwd, 'files', modelName);
    const text = await succeeds(['reconstruct', file, '--data', flat, '--images-dir', 'again'], { cwd });
    expect(text).toContain(join('again', 'plot.png'));
    const again = await tilesOf(join(cwd, 'again', 'plot.png'), 30);
    expect(again.tiles[0].width * 3).toBe(again.tiles[0].height * 5);
  });

  it('are skipped with a sentence where there is no shape at all', async () => {
    const cwd = folder.make();
    const odd = folder.write('odd.npy', npy([40, 6], bytes(240)));
    const text = await succeeds(['--data', odd, '--epochs', '1', '--h_dims', '3'], { cwd });
    expect(text).toContain('Rows of 6 values are no images: the data has no shape, and 6 is no square. ');
    expect(text).toContain(`pictures  ${join('images', 'loss.png')}\n`);
    expect(filesIn(cwd)).toEqual([
      ...['metrics.jsonl', 'run.json'].map((file) => join('files', file)),
      join('images', 'loss.png'),
    ]);
  });
});
