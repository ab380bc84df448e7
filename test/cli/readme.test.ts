import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { optionsTable, tableInReadme } from '../../scripts/options-table.mjs';
import { readSweepFile } from '../../src/cli/fleet/sweep-file.js';
import { readMnist10k } from '../../src/node/data/mnist.js';
import { writeNpy } from '../../src/node/data/write-dense.js';
import { parseSweep } from '../../src/sae/sweep/settings.js';
import { trialsOf } from '../../src/sae/sweep/trials.js';
import { long } from '../support/long.js';
import { bytes, npy, succeeds, temporaryFolder } from './sae.js';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
/** The pages of the guide, in its order. */
const guide = [...read('guide/README.md').matchAll(/^\d+\. \[.*?\]\((.*?)\)/gm)].map(([, file]) => ({
  file,
  text: read(`guide/${file}`),
}));

const { path: folder } = temporaryFolder();
beforeAll(async () => {
  await writeNpy(join(folder, 'rows.npy'), [3, 784], [new Float32Array(3 * 784).fill(0.5)]);
  const saved = join(root, 'test/fixtures/formats/saelens_topk_inference');
  cpSync(saved, join(folder, 'saved-folder'), { recursive: true });
  const { data } = await readMnist10k();
  writeFileSync(join(folder, 'digits.npy'), npy([200, 28, 28], (data as Uint8Array).subarray(0, 200 * 784)));
  const { rows, labels } = knownFeatures(600);
  writeFileSync(join(folder, 'activations.npy'), npy([600, 12], rows));
  writeFileSync(join(folder, 'labels.txt'), labels.map((label) => `${label}\n`).join(''));
  const saving = ['--epochs', '1', '--save_every', '1epoch', '--no-save-plots'];
  await succeeds(['--data', 'digits.npy', '--h_dims', '4', ...saving], { cwd: folder });
});

/** Rows of 12 values that are sums of six features, some at a time, each row with the name of its strongest one. */
function knownFeatures(count: number): { rows: Float32Array; labels: string[] } {
  const noise = bytes(72 + count * 18);
  const next = (() => {
    let at = 0;
    return () => noise[at++] / 255;
  })();
  const directions = Array.from({ length: 6 }, () => Array.from({ length: 12 }, () => next() - 0.5));
  const rows = new Float32Array(count * 12);
  const labels = Array.from({ length: count }, (_, row) => {
    const strengths = directions.map(() => Math.max(0, 4 * next() - 2.8));
    for (let i = 0; i < 12; i++) {
      rows[row * 12 + i] = directions.reduce(
        (sum, direction, feature) => sum + strengths[feature] * direction[i],
        0.05 * (next() - 0.5),
      );
    }
    return 'abcdef'[strengths.indexOf(Math.max(...strengths))];
  });
  return { rows, labels };
}

/** The blocks of a document in their order, with their languages. */
const blocksOf = (text: string) =>
  [...text.matchAll(/^```(\w*)\n(.*?)^```/gms)].map(([, language, block]) => ({ language, block }));

interface Command {
  readonly words: readonly string[];
  /** Lines that a document says it prints. */
  readonly shown: string[];
}

/** The commands in the documents' blocks of shell, once each, without comments, split as a shell splits words. */
const commands = new Map<string, Command>();
for (const text of [readme, ...guide.map(({ text }) => text)]) {
  let last: Command | undefined;
  for (const { language, block } of blocksOf(text)) {
    if (language === 'text') last?.shown.push(...block.trim().split(/\n+/));
    if (language !== 'sh') continue;
    for (const line of block.split('\n')) {
      const command = line.replace(/ +#.*$/, '').replace(/^npm start --/, 'sae');
      if (!command.startsWith('sae ')) continue;
      const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare);
      last = commands.get(command) ?? { words: words.slice(1), shown: [] };
      commands.set(command, last);
    }
  }
}

/** One epoch of a few digits, or a few steps. */
function shortened(words: readonly string[]): string[] {
  if (words[0] === '--resume') return [...words];
  const trains = words[0].startsWith('-');
  const others = words.includes('--data') || words.includes('--dataset');
  const reads = !others && (trains || words[0] === 'reconstruct');
  const synth = words[0] === 'synth' ? ['--steps', '20'] : [];
  return [
    ...words,
    ...(reads ? ['--data', 'digits.npy'] : []),
    ...(trains ? ['--epochs', '1'] : []),
    ...synth,
  ];
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
  '--h_dims [512] --sparsity batchtopk': ['784-512-784', /^epoch 1\/1 .* L0 8\.\d/m],
  '--h_dims [512] --sparsity jumprelu': ['784-512-784', /^epoch 1\/1 /m],
  '--h_dims': [sizes, `model     ${join('files', 'sae.safetensors')}`],
  '--dataset words-10k': ['100-512-100', /^epoch 1\/1 /m, `latents   ${join('files', 'latents.csv')}`],
  '--data activations.npy': [
    '12-24-12',
    /^held out {3}loss/m,
    `model     ${join('mine', 'sae.safetensors')}`,
    `latents   ${join('mine', 'latents.csv')}`,
  ],
  '--resume': ['goes on     after 4 steps', /^snapshot {2}.* \(step 4 of 4\)$/m],
  '--init saved-folder': ['12-40-12', /^epoch 1\/1 .* L0 [34]\.\d/m],
  '--init': [sizes, new RegExp(`^epoch 1/1 {2}${figures}`, 'm')],
  'reconstruct files/sae.safetensors --data': ['reconstructions.npy  3 rows of 784 values'],
  reconstruct: [new RegExp(`^digits\\.npy {3}${figures}$`, 'm'), pictures('plot', 'features')],
  'eval mine': [/^ +activations\.npy, 600 rows$/m, /^dead +\d+ of 24$/m],
  'eval saved-folder': [/^dead +\d+ of 40$/m],
  eval: [/^ +rows\.npy, 3 rows$/m, /^dead +\d+ of 64$/m],
  report: ['report    report.html'],
  'encode mine': [/^codes\.npz {2}600 rows of 24 latents, of which [\d,]+ values are not 0$/m],
  encode: ['codes.npy  3 rows of 64 latents'],
  'rows activations.npy': [/^activations\.npy {2}600 rows of 12, f32, \.npy$/m],
  rows: [/^rows\.npy {2}3 rows of 784, f32, \.npy$/m, /^values {6}0\.5 to 0\.5, /m],
  import: ['sae.safetensors  12-40-12, topk 4, from SAELens 6.39.0'],
  'export mine/sae.safetensors --to onnx': ['onnx  model.onnx'],
  'export mine': ['for-saelens  cfg.json, sae_weights.safetensors'],
  'export sae.safetensors --to onnx': ['onnx  model.onnx'],
  export: ['folder  cfg.json, sae_weights.safetensors'],
  'sweep --data activations.npy': [/^sweep +s[0-9a-f]{8}: 4 trials in \d groups, /m, 'h_dims [24], k 4'],
  sweep: [/^sweep +s[0-9a-f]{8}: 4 trials /m, 'table     ', 'report    '],
  synth: [/^F1 +[\d.]+ /m],
  'devices --tuning': [/^tiles|tuning/im],
  'devices --check': [/^ {4}right {2}training kl/m],
  devices: [/^ {2}used +yes: /m],
};

test('the documents have their commands', () => {
  expect(new Set([...commands.values()].map(({ words: [first] }) => first))).toEqual(
    new Set([
      '--epochs',
      '--dataset',
      '--data',
      '--h_dims',
      '--init',
      '--resume',
      'reconstruct',
      'eval',
      'report',
      'encode',
      'rows',
      'sweep',
      'synth',
      'devices',
      'import',
      'export',
    ]),
  );
});

/** A line without its numbers and the lengths of its bars and gaps. */
const form = (line: string) =>
  line
    .replace(/[▏▎▍▌▋▊▉█]+/g, '')
    .replace(/-?\d[\d.,]*%?/g, '#')
    .replace(/ +/g, ' ')
    .trim();

/** Commands that no later one needs, each with a model of its own to compile: for the long tests. */
const slow = /^sae (--epochs|--dataset|sweep|synth|devices --check|--init|report \S+ saved|eval saved)/;

// In the documents' order: later ones use the model that an earlier one saves.
test.each([...commands].filter(([command]) => long || !slow.test(command)))(
  '%s',
  async (_, { words, shown }) => {
    const said = await succeeds(shortened(words), { cwd: folder });
    const [, wanted] = Object.entries(printed).find(([first]) => words.join(' ').startsWith(first))!;
    for (const part of wanted) {
      expect(said).toMatch(part);
    }
    expect(said.split('\n').map(form)).toEqual(expect.arrayContaining(shown.map(form)));
  },
);

const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import numpy']).status === 0,
);

test.runIf(long && python)('the program that pipes its rows in', async () => {
  const [, block] = /^```python\n(.*?)^```/ms.exec(readme)!;
  const code = block.replace('1_000_000, 768', '2000, 48');
  expect(code).not.toBe(block);
  const input = execFileSync(python!, ['-c', code]);
  const args = ['--data', '-', '--sparsity', 'topk', '--k', '4', '--h_dims', '[8]', '--save-plots', 'False'];
  const said = await succeeds(args, { cwd: folder, input });
  expect(said).toMatch(/^data {8}standard input: 2,000 rows of 48 values$/m);
  expect(said).toMatch(/^epoch 1\/1 {2}loss [\d.]+ {2}mse [01]\.\d+ /m);
});

/** A document's blocks of JavaScript, with packages' names replaced by files. */
const examplesOf = (text: string) =>
  blocksOf(text)
    .filter(({ language }) => language === 'js')
    .map(({ block }) =>
      block.replace(/'webgpu-sae(\/gpu)?'/g, (_, gpu) =>
        JSON.stringify(join(root, gpu ? 'dist/gpu/index.js' : 'dist/node/index.js')),
      ),
    );
const examples = examplesOf(readme);

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

/** What the guide's examples print. */
const examplesOfGuide: Record<string, RegExp> = {
  'what-a-model-has-learned.md': /^-?[\d.]+ [\d.]+ \{\s*density: .*exciting: \[/s,
  'writing-a-kernel.md': /^Float32Array\(4\) \[ 2, 0, 3, 0 \]\n$/,
};

describe('the guide', () => {
  test('its pages are those of the site', () => {
    const { projectDocuments } = JSON.parse(read('docs/typedoc.json'));
    expect(projectDocuments).toEqual(guide.map(({ file }) => `../guide/${file}`));
  });

  test.runIf(long).each(Object.entries(examplesOfGuide))('%s: its example', (file, printed) => {
    const [code, ...more] = examplesOf(guide.find((page) => page.file === file)!.text);
    expect(more).toEqual([]);
    expect(runExample(code)).toMatch(printed);
  });

  test('the file of a sweep has as many trials as is said', async () => {
    const { text } = guide.find(({ file }) => file === 'many-models.md')!;
    const [, yaml, many] =
      /^```yaml\n(.*?)^```\n\n`sae sweep --config sweep\.yaml` trains these (\d+)\.$/ms.exec(text)!;
    writeFileSync(join(folder, 'sweep.yaml'), yaml);
    const { data, ...tried } = await readSweepFile(join(folder, 'sweep.yaml'));
    expect(data).toBe('activations.npy');
    const trials = trialsOf(parseSweep(tried), { in_dims: 12, batchesOf: () => 100 });
    expect(trials).toHaveLength(Number(many));
  });

  test('no block but those that are run here', () => {
    const other = guide.flatMap(({ file, text }) =>
      blocksOf(text).filter(({ language, block }) =>
        language === 'sh'
          ? !block.split('\n').every((line) => line === '' || line.startsWith('sae '))
          : !['text', 'yaml'].includes(language) && !(language === 'js' && file in examplesOfGuide),
      ),
    );
    expect(other).toEqual([]);
  });

  test('a measured table is the one where it is told how it was measured', () => {
    const tables = (text: string) => [...text.matchAll(/(?:^\|.*\n)+/gm)].map(([table]) => table.split('\n'));
    const measured = [...tables(readme), ...tables(read('scripts/peers/README.md'))];
    let copied = 0;
    for (const [head, ...rows] of guide.flatMap(({ text }) => tables(text))) {
      const original = measured.filter(([other]) => other === head).flat();
      if (original.length === 0 || head === '| | |') continue;
      copied += 1;
      expect(original).toEqual(expect.arrayContaining(rows));
    }
    expect(copied).toBe(3);
  });
});

test('the table of options is the one that the options make', async () => {
  expect(tableInReadme()).toBe(await optionsTable());
});
