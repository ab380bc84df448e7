// Long runs: what a process holds stays as it is, ten runs share an adapter, devices are opened and closed, and a page is paused
// and changed thousands of times.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { argsOf, jobs, prepare } from './jobs.mjs';
import { differences, start, undisturbed } from './runs.mjs';
import { pausedPage } from './soak-page.mjs';

const MB = 1e6;
const probe = ['--import', new URL('soak-probe.mjs', import.meta.url).href];
const openings = new URL('soak-openings.mjs', import.meta.url).pathname;

/** Long trainings: rows in memory, and rows that are read from a file again and again, both saved once a minute. */
const longJobs = {
  resident: { steps: 200_000, data: ['--dataset', 'mnist-10k', '--batch_size', '8'], args: [] },
  streamed: {
    steps: 200_000,
    data: ['--data', 'rows.npy', '--window', '4KB', '--batch_size', '8'],
    args: ['--sparsity', 'topk', '--k', '3', '--h_dims', '16', '--step_metrics', 'steps.csv'],
  },
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** The medians of the second fifth and of the last: until then a process grows into what it needs. */
function ends(samples, name) {
  const fifth = Math.floor(samples.length / 5);
  const of = (part) => median(part.map((sample) => sample[name]));
  return [of(samples.slice(fifth, 2 * fifth)), of(samples.slice(-fifth))];
}

/** What may grow, by so much: memory that the engine of JavaScript has yet to look through, and clocks of a shared machine. */
const allowed = {
  rss: ([before]) => before + 24 * MB,
  arrayBuffers: ([before]) => before + 8 * MB,
  deviceBytes: ([before]) => before,
  // Files of rows are opened and closed.
  handles: ([before]) => before + 4,
  delay: ([before]) => 2 * before + 20,
};

/** Puts a text among the counts. */
function tell(torture, row, column, text) {
  torture.counts.soak ??= {};
  torture.counts.soak[row] = { ...torture.counts.soak[row], [column]: text };
}

async function long(torture, name) {
  const { steps, data, args } = longJobs[name];
  const cwd = mkdtempSync(join(torture.folder, 'soak-'));
  prepare(cwd);
  const file = join(cwd, 'samples.jsonl');
  const words = [
    ...data,
    ...args,
    '--steps',
    `${steps}`,
    '--save_every',
    '1min',
    '--no-save-plots',
    '--quiet',
  ];
  const ended = await start(words, { cwd, node: probe, env: { SOAK_SAMPLES: file }, patience: 3_600_000 })
    .ended;
  if (ended.status !== 0) torture.lost('soak', name, `status ${ended.status}: ${ended.stderr}`);
  const samples = readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  torture.count('soak', name, 'steps', steps);
  torture.count('soak', name, 'samples', samples.length);
  for (const [what, most] of Object.entries(allowed)) {
    const [before, after] = ends(samples, what);
    const unit = ['rss', 'arrayBuffers', 'deviceBytes'].includes(what) ? MB : 1;
    tell(torture, name, what, `${(before / unit).toFixed(1)} to ${(after / unit).toFixed(1)}`);
    if (after > most([before])) torture.lost('soak', name, `${what} grew from ${before} to ${after}`);
  }
  await draw(samples, `images/soak-${name}.png`, `${name}: ${steps.toLocaleString('en')} steps`);
  rmSync(cwd, { recursive: true, force: true });
}

async function together(torture) {
  const expected = await undisturbed(torture.folder, jobs.tables);
  const folders = Array.from({ length: 10 }, () => mkdtempSync(join(torture.folder, 'ten-')));
  const ended = await Promise.all(
    folders.map((cwd) => {
      prepare(cwd);
      return start(argsOf(jobs.tables, { every: 50 }), { cwd, patience: 10 * 60_000 }).ended;
    }),
  );
  ended.forEach(({ status, stderr }, i) => {
    if (status !== 0) torture.lost('soak', 'ten at once', `status ${status}: ${stderr}`);
    else if (differences(folders[i], expected).length > 0)
      torture.lost('soak', 'ten at once', 'results differ');
    torture.count('soak', 'ten at once', 'finished', status === 0 ? 1 : 0);
  });
}

async function opened(torture) {
  const times = 200;
  const { status, stdout, stderr } = await start([`${times}`], {
    cwd: torture.folder,
    node: ['--expose-gc'],
    program: openings,
    patience: 10 * 60_000,
  }).ended;
  if (status !== 0) return torture.lost('soak', 'openings', `status ${status}: ${stderr}`);
  const held = JSON.parse(stdout);
  // By then the process has grown into what it needs: until about the 80th the C library's arenas grow, most of which is free.
  const [before, after] = [held[99], held.at(-1)];
  torture.count('soak', 'openings', 'openings', times);
  tell(torture, 'openings', 'rss', `${(before.rss / MB).toFixed(1)} to ${(after.rss / MB).toFixed(1)}`);
  tell(torture, 'openings', 'handles', `${before.handles} to ${after.handles}`);
  if (after.handles > before.handles)
    torture.lost('soak', 'openings', `handles grew from ${before.handles} to ${after.handles}`);
  if (after.rss > before.rss + 24 * MB)
    torture.lost('soak', 'openings', `memory grew from ${before.rss} to ${after.rss}`);
}

/** Memory, device memory and delays by seconds. */
async function draw(samples, file, title) {
  const [{ init }, { default: sharp }] = await Promise.all([import('echarts'), import('sharp')]);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 900, height: 420 });
  const line = (name, key, unit, yAxisIndex = 0) => ({
    type: 'line',
    showSymbol: false,
    name,
    yAxisIndex,
    data: samples.map((sample, i) => [i, sample[key] / unit]),
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 10, textStyle: { fontSize: 14 } },
    legend: { top: 28 },
    grid: { top: 70, left: 60, right: 60, bottom: 40 },
    xAxis: { type: 'value', name: 's', max: samples.length },
    yAxis: [
      { type: 'value', name: 'MB' },
      { type: 'value', name: 'ms, handles', splitLine: { show: false } },
    ],
    series: [
      line('resident set', 'rss', MB),
      line('array buffers', 'arrayBuffers', MB),
      line('device memory', 'deviceBytes', MB),
      line('event-loop delay (p99)', 'delay', 1, 1),
      line('handles', 'handles', 1, 1),
    ],
  });
  mkdirSync('images', { recursive: true });
  await sharp(Buffer.from(chart.renderToSVGString())).png().toFile(file);
  console.log(`picture  ${file}`);
}

/** @param {import('../torture.mjs').Torture} torture */
export async function* soak(torture) {
  for (const part of [
    opened,
    together,
    pausedPage,
    (each) => long(each, 'resident'),
    (each) => long(each, 'streamed'),
  ]) {
    await part(torture);
    yield;
  }
}
