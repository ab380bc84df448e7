// The trainings that are tortured: small ones, which do all that a training does.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readModelFile, readSnapshotFile } from '../../dist/node/index.js';
import { crc32c } from '../../dist/sae/rows/formats/crc.js';

export const snapshotFile = join('files', 'snapshot.safetensors');
export const modelFile = join('files', 'sae.safetensors');

const rows = 400;
const common = ['--data', 'rows.npy', '--seed', '7', '--save-model', '--json'];
const tables = ['--step_metrics', 'steps.csv', '--epoch_metrics', 'epochs.jsonl'];
const topk = ['--sparsity', 'topk', '--k', '3', '--h_dims', '8'];
const pictures = ['--image_shape', '4,4', '--labels', 'labels.txt', '--num_samples', '2'];

/** By name. `steps` are those of the whole training. */
export const jobs = {
  tables: { steps: 1000, args: [...topk, ...tables, '--no-save-plots'] },
  streamed: { steps: 600, args: [...topk, ...tables, '--window', '4KB', '--no-save-plots'] },
  animated: { steps: 200, args: [...topk, ...tables, ...pictures, '--animate', '20'] },
  tensorboard: { steps: 600, args: [...topk, '--tensorboard', 'events', '--no-save-plots'] },
  kl: { steps: 600, args: ['--sparsity', 'kl', '--h_dims', '[12,6]', ...tables, '--no-save-plots'] },
  batchtopk: {
    steps: 600,
    args: ['--sparsity', 'batchtopk', '--k', '3', '--h_dims', '32', ...tables, '--no-save-plots'],
  },
  jumprelu: { steps: 600, args: ['--sparsity', 'jumprelu', '--h_dims', '12', ...tables, '--no-save-plots'] },
  resampled: {
    steps: 600,
    args: [
      '--sparsity',
      'l1',
      '--h_dims',
      '12',
      '--revive',
      'resample',
      '--resample_every',
      '150',
      ...tables,
      '--no-save-plots',
    ],
  },
};

/** The command line of a job. */
export function argsOf({ args, steps }, { batch_size = 4, every } = {}) {
  return [
    ...common,
    ...args,
    '--batch_size',
    `${batch_size}`,
    '--steps',
    `${steps}`,
    ...(every ? ['--save_every', `${every}`] : []),
  ];
}

/** Writes what jobs read into a folder, which is made. */
export function prepare(folder) {
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  let state = 1;
  const bytes = Uint8Array.from({ length: 16 * rows }, () => {
    state = (state * 48_271) % 0x7fffffff;
    return state >> 8;
  });
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${rows}, 16), }`;
  const header = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${text.padEnd(117)}\n`, 'latin1');
  header.writeUInt16LE(118, 8);
  writeFileSync(join(folder, 'rows.npy'), Buffer.concat([header, bytes]));
  writeFileSync(join(folder, 'labels.txt'), Array.from({ length: rows }, (_, i) => `row ${i}\n`).join(''));
}

/** All files below a folder, as paths from there. */
export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .sort();
}

export const sha = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Figures that the clock decides. */
const clock = ['samples_per_second', 'seconds', 'first_step_seconds'];

function epochsOf(file) {
  return linesOf(file).map((line) => ({ ...line, ...Object.fromEntries(clock.map((name) => [name, 0])) }));
}

function linesOf(file) {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** What of a run's results does not depend on the clock, by file. */
export function outcome(cwd) {
  const of = {
    [modelFile]: sha,
    'steps.csv': sha,
    'epochs.jsonl': epochsOf,
    [join('files', 'metrics.jsonl')]: epochsOf,
    [join('files', 'latents.csv')]: sha,
    [join('images', 'plot.png')]: sha,
    [join('images', 'features.png')]: sha,
    [join('images', 'loss.png')]: sha,
    [join('images', 'features.webp')]: sha,
  };
  const found = Object.entries(of).filter(([file]) => existsSync(join(cwd, file)));
  return Object.fromEntries(found.map(([file, read]) => [file, JSON.stringify(read(join(cwd, file)))]));
}

/** Files of a folder that should not be there, once no run goes on. (A model that could not be saved in its place is saved in the temporary folder.) */
export function strays(cwd) {
  return filesIn(cwd).filter((file) => /\.tmp$|\.lock$|^tmp\/(?!sae-\w{6}\/sae\.safetensors$)/.test(file));
}

/**
 * Reads every file of a run, those in the middle of being written too.
 * @param torn whether the last line of a table may be cut short: what a disk that is full leaves.
 * @returns what is wrong, and the step of the snapshot.
 */
export async function readAll(cwd, { torn = false } = {}) {
  const wrong = [];
  let step;
  for (const file of filesIn(cwd)) {
    if (/\.tmp$|^tmp\//.test(file)) continue;
    try {
      const path = join(cwd, file);
      if (/snapshot.*\.safetensors$/.test(file)) {
        const { snapshot } = await readSnapshotFile(path);
        if (file === snapshotFile) step = snapshot.done;
      } else if (/sae.*\.safetensors$/.test(file)) await readModelFile(path);
      else readers.find(([name]) => name.test(file))?.[1](readFileSync(path), torn);
    } catch (error) {
      wrong.push(`${file}: ${error.message}`);
    }
  }
  return { wrong, step };
}

const readers = [
  [/\.lock$|run\.json$/, (bytes) => JSON.parse(bytes)],
  [/densities\.safetensors$/, checkSafetensors],
  [/\.jsonl$/, (bytes, torn) => wholeLines(bytes, torn).map((line) => JSON.parse(line))],
  [/steps\.csv$/, checkTable],
  [/latents\.csv$/, (bytes) => wholeLines(bytes)],
  [/\.html$/, (bytes) => expect(/<\/html>\s*$/.test(bytes), 'it does not end')],
  [/\.png$/, (bytes) => expect(bytes.subarray(-8, -4).toString() === 'IEND', 'it does not end')],
  [/\.webp$/, (bytes) => expect(bytes.readUInt32LE(4) + 8 === bytes.length, 'it does not end')],
  [/tfevents/, checkEvents],
];

function expect(holds, what) {
  if (!holds) throw new Error(what);
}

function wholeLines(bytes, torn) {
  const lines = bytes.toString('utf8').split('\n');
  const rest = lines.pop();
  expect(torn || rest === '', `its last line is cut short: ${rest}`);
  return lines;
}

/** Lines of as many numbers as there are columns, of one step after another. */
function checkTable(bytes, torn) {
  const [header, ...lines] = wholeLines(bytes, torn).map((line) => line.split(','));
  lines.forEach((line, i) => {
    expect(line.length === header.length, `line ${i + 2} has ${line.length} of ${header.length} columns`);
    expect(i === 0 || Number(line[0]) > Number(lines[i - 1][0]), `line ${i + 2} is of step ${line[0]}`);
  });
}

function checkSafetensors(bytes) {
  const begin = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...tensors } = JSON.parse(bytes.toString('utf8', 8, begin));
  const end = Math.max(...Object.values(tensors).map(({ data_offsets }) => data_offsets[1]));
  expect(bytes.length === begin + end, `it has ${bytes.length} bytes, not ${begin + end}`);
}

/** Records of TensorBoard, each with its length and checksums. */
function checkEvents(bytes, torn) {
  for (let at = 0; at < bytes.length; ) {
    const length = at + 8 <= bytes.length ? Number(bytes.readBigUInt64LE(at)) : Number.POSITIVE_INFINITY;
    if (at + length + 16 > bytes.length) {
      expect(torn, `its record at byte ${at} is cut short`);
      return;
    }
    const sum = crc32c(bytes.subarray(at + 12, at + 12 + length));
    const masked = (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
    expect(bytes.readUInt32LE(at + 12 + length) === masked, `its record at byte ${at} is damaged`);
    at += length + 16;
  }
}
