// Measures how rows of files are streamed: `npm run bench:streaming -- --folder FOLDER --gigabytes 8 --seconds 120`.
// It writes files of that size into the folder, removes them at the end, and leaves memory.png there.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openDataset } from '../dist/node/index.js';
import { npyHeader } from '../dist/sae/rows/formats/npy.js';

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string' },
    gigabytes: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '120' },
    rounds: { type: 'string', default: '3' },
  },
});
if (!options.folder) throw new Error('Name a folder with --folder, on the disk that is to be measured.');
const folder = resolve(options.folder);
const main = resolve(import.meta.dirname, '../dist/cli/main.js');
mkdirSync(folder, { recursive: true });

/** Writes a .npy file of so many rows, a block of random values again and again. */
async function writeRows(name, rows, in_dims, blockRows = 10_000) {
  const file = join(folder, name);
  const block = Float32Array.from({ length: blockRows * in_dims }, () => 2 * Math.random() - 1);
  const handle = await open(file, 'w');
  await handle.write(npyHeader([rows, in_dims]));
  for (let row = 0; row < rows; row += blockRows) {
    await handle.write(new Uint8Array(block.buffer, 0, Math.min(blockRows, rows - row) * in_dims * 4));
  }
  await handle.sync();
  await handle.close();
  return file;
}

/** Trains, and gives the lines of --json; `sample` is called with the process each 250 ms. */
async function train(args, { seconds, sample } = {}) {
  const common = ['--save-plots', 'False', '--files-dir', join(folder, 'files'), '--json'];
  const child = spawn(process.execPath, [main, ...args, ...common], { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  const sampling = sample && setInterval(() => sample(child.pid), 250);
  const stop = () => {
    clearInterval(sampling);
    child.kill('SIGINT');
  };
  const ending = seconds && setTimeout(stop, seconds * 1000);
  await once(child, 'close');
  clearInterval(sampling);
  clearTimeout(ending);
  return out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Samples a second of the epochs after the first. */
function speed(lines) {
  return median(lines.filter(({ epoch }) => epoch > 1).map(({ samples_per_second }) => samples_per_second));
}

async function readAll(files) {
  const began = performance.now();
  let bytes = 0;
  for (const file of files)
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) bytes += chunk.length;
  return bytes / 1e6 / ((performance.now() - began) / 1000);
}

/** Makes the system forget the files, if this may be done here. */
function forget() {
  try {
    execFileSync('sync');
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return true;
  } catch {
    return false;
  }
}

const rounds = Number(options.rounds);
const [{ model: cpu }] = cpus();
console.log(`${cpus().length} x ${cpu}, ${new Date().toISOString().slice(0, 10)}`);

{
  const file = await writeRows('wide.npy', 60_000, 784);
  const model = ['--data', file, '--h_dims', '[1024]', '--batch_size', '1024', '--epochs', '3'];
  const ratios = [];
  for (let round = 0; round < rounds; round++) {
    const [resident, streamed] = [await train(model), await train([...model, '--window', '40MB'])].map(speed);
    ratios.push(streamed / resident);
    console.log(
      `784-1024, 188 MB: resident ${resident.toFixed(0)}, through windows of 40 MB ${streamed.toFixed(0)} samples/s`,
    );
  }
  console.log(
    `  ratio ${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(3)}-${Math.max(...ratios).toFixed(3)})`,
  );
  rmSync(file);
}

{
  const files = [];
  for (let i = 0; i < 4; i++) files.push(await writeRows(`narrow-${i}.npy`, 1_250_000, 100));
  const cold = forget() ? await readAll(files) : undefined;
  const warm = await readAll(files);
  const model = [
    '--data',
    join(folder, 'narrow-*.npy'),
    '--h_dims',
    '[32]',
    '--batch_size',
    '4096',
    '--sparsity',
    'none',
  ];
  const run = async (...more) => {
    const lines = await train([...model, '--epochs', '2', ...more]);
    return (speed(lines) * 400) / 1e6;
  };
  console.log(
    `reading 2 GB: ${cold === undefined ? '' : `${cold.toFixed(0)} MB/s from a cold cache, `}${warm.toFixed(0)} from a warm one`,
  );
  for (let round = 0; round < rounds; round++) {
    const streamed = await run('--window', '256MB');
    const resident = await run('--window', '4GB');
    console.log(`100-32, 2 GB: through windows ${streamed.toFixed(0)} MB/s, resident ${resident.toFixed(0)}`);
  }
  for (const file of files) rmSync(file);
}

{
  const file = await writeRows('words.npy', 341_479, 100);
  const seconds = [];
  for (let round = 0; round < rounds + 1; round++) {
    const [{ first_step_seconds }] = await train(['--data', file, '--h_dims', '[256]', '--steps', '3']);
    seconds.push(first_step_seconds);
  }
  // The first run may compile.
  console.log(`341,479 x 100, from the command to the first step: ${median(seconds.slice(1)).toFixed(2)} s`);
  rmSync(file);
}

{
  const shards = join(folder, 'shards');
  mkdirSync(shards, { recursive: true });
  for (let i = 0; i < 1000; i++) await writeRows(join('shards', `x${i}.npy`), 100, 100, 100);
  const began = performance.now();
  const { rows } = await openDataset(shards, { most_memory: 1 });
  console.log(
    `a folder of 1,000 files, ${rows} rows, opened and checked in ${((performance.now() - began) / 1000).toFixed(2)} s`,
  );
  rmSync(shards, { recursive: true });
}

{
  const in_dims = 768;
  const rows = Math.floor((Number(options.gigabytes) * 1e9) / (4 * in_dims));
  const file = await writeRows('large.npy', rows, in_dims);
  const window = 512e6;
  const samples = [];
  const sample = (pid) => {
    const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';
    const megabytes = (name) =>
      (Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1024) / 1e6;
    // A software adapter's device memory is the process's, shared as Mesa makes it.
    if (status) samples.push({ all: megabytes('VmRSS'), device: megabytes('RssShmem') });
  };
  const model = [
    '--data',
    file,
    '--h_dims',
    '[1024]',
    '--batch_size',
    '1024',
    '--sparsity',
    'topk',
    '--k',
    '32',
  ];
  await train([...model, '--window', '512MB'], { seconds: Number(options.seconds), sample });
  const range = (values) => `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)} MB`;
  const half = samples.slice(samples.length / 2);
  console.log(
    `${options.gigabytes} GB of 768 values, 1024 latents, ${options.seconds} s through windows of ${window / 1e6} MB: resident set at most ` +
      `${Math.max(...samples.map(({ all }) => all)).toFixed(0)} MB; in the second half ${range(half.map(({ all }) => all))}, of which ` +
      `${range(half.map(({ device }) => device))} are the device's and ${range(half.map(({ all, device }) => all - device))} the host's`,
  );
  await plot(samples);
  rmSync(file);
}
rmSync(join(folder, 'files'), { recursive: true, force: true });

/** Draws the resident set over time, and the host's part of it. */
async function plot(samples) {
  const [{ init }, { default: sharp }] = await Promise.all([import('echarts'), import('sharp')]);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 900, height: 400 });
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    xAxis: { type: 'value', name: 'seconds' },
    yAxis: { type: 'value', name: 'MB', min: 0 },
    legend: {},
    series: [
      ['resident set', ({ all }) => all],
      ['without device memory', ({ all, device }) => all - device],
    ].map(([name, of]) => ({
      name,
      type: 'line',
      data: samples.map((sample, i) => [i / 4, of(sample)]),
      symbol: 'none',
    })),
  });
  const file = join(folder, 'memory.png');
  await sharp(Buffer.from(chart.renderToSVGString())).png().toFile(file);
  // It would keep the process.
  chart.dispose();
  console.log(file);
}
