import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { optionsTable, tableInReadme } from '../../scripts/options-table.mjs';
import { readMnist10k } from '../../src/node/data/mnist.js';
import { writeNpy } from '../../src/node/data/write-dense.js';
import { npy, succeeds } from './sae.js';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sae-readme-'));
  await writeNpy(join(folder, 'rows.npy'), [3, 784], [new Float32Array(3 * 784).fill(0.5)]);
  const saved = join(root, 'test/fixtures/formats/saelens_topk_inference');
  cpSync(saved, join(folder, 'saved-folder'), { recursive: true });
  const { data } = await readMnist10k();
  writeFileSync(join(folder, 'digits.npy'), npy([200, 28, 28], (data as Uint8Array).subarray(0, 200 * 784)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The commands in the README's blocks of shell, without comments, split as a shell splits words. */
const commands = [...readme.matchAll(/^```sh\n(.*?)^```/gms)]
  .flatMap(([, block]) => block.split('\n'))
  .map((line) => line.replace(/ +#.*$/, '').replace(/^npm start --/, 'sae'))
  .filter((line) => line.startsWith('sae '))
  .map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare).slice(1));

/** One epoch of a few digits. */
function shortened(words: readonly string[]): string[] {
  const trains = words[0].startsWith('-');
  const others = words.includes('--data') || words.includes('--dataset');
  const reads = !others && (trains || words[0] === 'reconstruct');
  return [...words, ...(reads ? ['--data', 'digits.npy'] : []), ...(trains ? ['--epochs', '1'] : [])];
}

const sizes = '784-256-128-64-128-256-784, relu';
const figures =
  'loss [\\d.]+ {2}mse [\\d.]+ {2}R2 -?[\\d.]+ {2}kl [\\d.]+ {2}L0 [\\d.]+ {2}dead \\d+ {2}dense \\d+';
const pictures = (...names: string[]) =>
  `pictures  ${names.map((name) => join('images', `${name}.png`)).join(', ')}`;
/** What each prints, by its first words, as far as it tells whether it did what its comment says. */
const printed: Record<string, (string | RegExp)[]> = {
  '--epochs 100': [sizes, pictures('plot', 'features', 'loss')],
  '--epochs 3': ['784-20-784', /^epoch 1\/1 /m, pictures('plot', 'features', 'loss')],
  '--h_dims': [sizes, `model     ${join('files', 'sae.safetensors')}`],
  '--dataset words-10k': ['100-512-100', /^epoch 1\/1 /m, `latents   ${join('files', 'latents.csv')}`],
  '--init': [sizes, new RegExp(`^epoch 1/1 {2}${figures}`, 'm')],
  'reconstruct files/sae.safetensors --data': ['reconstructions.npy  3 rows of 784 values'],
  reconstruct: [new RegExp(`^digits\\.npy {3}${figures}$`, 'm'), pictures('plot', 'features')],
  eval: [/^ +rows\.npy, 3 rows$/m, /^dead +\d+ of 64$/m],
  report: ['report    report.html'],
  encode: ['codes.npy  3 rows of 64 latents'],
  rows: [/^rows\.npy {2}3 rows of 784, f32, \.npy$/m, /^values {6}0\.5 to 0\.5, /m],
  import: ['sae.safetensors  12-40-12, topk 4, from SAELens 6.39.0'],
  'export sae.safetensors --to onnx': ['onnx  model.onnx'],
  export: ['folder  cfg.json, sae_weights.safetensors'],
  devices: [/^ {2}used +yes: /m],
};

test('the README has its commands', () => {
  expect(commands.length).toBeGreaterThanOrEqual(6);
  expect(new Set(commands.map(([first]) => first))).toEqual(
    new Set([
      '--epochs',
      '--dataset',
      '--h_dims',
      '--init',
      'reconstruct',
      'eval',
      'report',
      'encode',
      'rows',
      'devices',
      'import',
      'export',
    ]),
  );
});

// In the README's order: later ones use the model that an earlier one saves.
test.each(commands.map((words) => [words.join(' '), words] as const))('sae %s', async (_, words) => {
  const said = await succeeds(shortened(words), { cwd: folder });
  const [, wanted] = Object.entries(printed).find(([first]) => words.join(' ').startsWith(first))!;
  for (const part of wanted) {
    expect(said).toMatch(part);
  }
});

const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import numpy']).status === 0,
);

test.skipIf(!python)('the program that pipes its rows in', async () => {
  const [, block] = /^```python\n(.*?)^```/ms.exec(readme)!;
  const code = block.replace('1_000_000, 768', '2000, 48');
  expect(code).not.toBe(block);
  const input = execFileSync(python!, ['-c', code]);
  const args = ['--data', '-', '--sparsity', 'topk', '--k', '4', '--h_dims', '[8]', '--save-plots', 'False'];
  const said = await succeeds(args, { cwd: folder, input });
  expect(said).toMatch(/^data {8}standard input: 2,000 rows of 48 values$/m);
  expect(said).toMatch(/^epoch 1\/1 {2}loss [\d.]+ {2}mse [01]\.\d+ /m);
});

/** The README's blocks of JavaScript, with packages' names replaced by files. */
const examples = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(([, block]) =>
  block.replace(/'webgpu-sae(\/gpu)?'/g, (_, gpu) =>
    JSON.stringify(join(root, gpu ? 'dist/gpu/index.js' : 'dist/node/index.js')),
  ),
);

function runExample(code: string): string {
  writeFileSync(join(folder, 'example.mjs'), code);
  return execFileSync(process.execPath, ['example.mjs'], { cwd: folder, stdio: 'pipe', encoding: 'utf8' });
}

test('the library’s example', () => {
  const check = `
    if (codes.length !== 10000 * 256 || !(file instanceof Uint8Array)) throw new Error('not what it says');`;
  // An epoch of a few steps.
  const said = runExample(examples[0].replace('epochs: 5', 'steps: 20') + check);
  expect(said).toMatch(/^1 \d\.\d+ \d+\.\d+\n$/);
});

test('the example of a kernel of one’s own', () => {
  const [code, ...more] = examples.slice(1);
  expect(more).toEqual([]);
  const [, values] = /\[([^\]]*)\]/.exec(runExample(code).replace('Float32Array(4) ', ''))!;
  const roots = [4, 5, 10, 11].map(Math.sqrt);
  expect(values.split(',').map(Number)).toEqual(roots.map((root) => expect.closeTo(root, 5)));
});

test('the table of options is the one that the options make', async () => {
  expect(tableInReadme()).toBe(await optionsTable());
});
