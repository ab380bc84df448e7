// Gives broken and hostile files to every reader: `npm run fuzz -- --minutes 10`, or one with `--target NAME`. Inputs are mutated with
// Jazzer.js, which keeps those that go new ways through the code, or without it where it cannot be had. See test/fuzz/README.md.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { fuzzByMutation } from '../test/fuzz/mutations.mjs';
import { seedsOf, targetNames, targetOf } from '../test/fuzz/seeds.mjs';
import { buildForNode } from './fuzz/browser.mjs';
import { jazzer } from './fuzz/jazzer.mjs';
import { root, say } from './setup/run.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    target: { type: 'string' },
    seed: { type: 'string' },
  },
});
const names = values.target === undefined ? targetNames : [values.target];
const seed = Number(values.seed ?? 1 + (Date.now() % 1e9));
const seconds = (60 * Number(values.minutes)) / names.length;
if (!(seconds > 0) || !Number.isSafeInteger(seed) || !names.every((name) => targetNames.includes(name))) {
  say(`Expected --minutes above 0, --seed of a whole number and --target of ${targetNames.join(', ')}.`);
  process.exit(2);
}

const work = join(root, 'test/fuzz/work');
/** Seconds after which a reader hangs. Of HDF5's library one is ended after half a minute. */
const patience = 60;
/** The engine, and what of its libraries reads files in JavaScript. */
const instrumented = [
  join(root, 'dist/'),
  join(work, 'browser/'),
  ...['hyparquet/', 'fzstd/', 'unzipit/', 'papaparse/'].map((name) => join(root, 'node_modules', name)),
];
mkdirSync(work, { recursive: true });
await buildForNode(join(work, 'browser'));
const program = jazzer(work);
say(`Seed ${seed}, ${seconds.toFixed(1)} s for each of ${names.length} targets.`);
let all = 0;
let failed = 0;
for (const name of names) {
  const { runs, faults } = await (program ? byCoverage(name, program) : byMutation(name));
  all += runs;
  failed += faults.length;
  console.log(`${name}: ${runs} inputs, ${faults.length === 0 ? 'no fault' : 'a fault'}`);
  for (const fault of faults) console.log(`  ${fault}`);
}
console.log(`${all} inputs in all, ${failed} faults.`);
process.exitCode = failed > 0 ? 1 : 0;

/** With Jazzer.js. What goes new ways is kept in test/fuzz/work for the next time. */
async function byCoverage(name, { command, env }) {
  const folder = join(work, name);
  const corpus = join(folder, 'corpus');
  mkdirSync(corpus, { recursive: true });
  for (const input of await seedsOf(name)) writeFileSync(join(corpus, hashOf(input)), input);
  const { longest = 4096 } = await targetOf(name);
  const [program, ...args] = command;
  const child = spawn(
    program,
    [
      ...args,
      join(root, 'test/fuzz/jazzer.mjs'),
      ...instrumented.flatMap((part) => ['--includes', part]),
      ...['--excludes', 'nothing', '--timeout', String(1000 * patience), corpus, '--'],
      ...[
        `-max_total_time=${Math.ceil(seconds)}`,
        `-max_len=${longest}`,
        `-seed=${seed}`,
        '-rss_limit_mb=2048',
      ],
      `-artifact_prefix=${folder}/`,
    ],
    { env: { ...process.env, ...env, FUZZ_TARGET: name }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let runs = 0;
  const last = [];
  const faults = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const [, count] = /^(?:#|Done )(\d+)/.exec(line) ?? [];
      if (count) runs = Math.max(runs, Number(count));
      last.push(line);
      if (last.length > 40) last.shift();
    });
  }
  const [status, signal] = await new Promise((resolve) => child.on('close', (...ended) => resolve(ended)));
  // With a thread of a reader at its end, a process aborts once all is done.
  const done =
    last.some((line) => line.startsWith('Done ')) && !last.some((line) => line.includes('Test unit written'));
  if (status !== 0 && !done) {
    const output = last.filter((line) => !/^(#|\s+at |MS:|0x|INFO)/.test(line)).join('\n  ');
    faults.push(`status ${status ?? signal}, the input in ${folder}:\n  ${output}`);
  }
  return { runs, faults };
}

/** Without looking at what inputs do. */
async function byMutation(name) {
  const { counts, faults } = await fuzzByMutation([name], seed, { until: Date.now() + 1000 * seconds });
  return { runs: counts.get(name) ?? 0, faults: faults.map((fault) => kept(fault)) };
}

function kept({ name, number, error, input }) {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `crash-${hashOf(input)}`);
  writeFileSync(file, input);
  return `${error.message} (input ${number} of seed ${seed}: ${file})`;
}

function hashOf(bytes) {
  return createHash('sha1').update(bytes).digest('hex');
}
