// npm run bench:peers: this project against PyTorch, TensorFlow.js and jax-js, on this machine, in turns.
//   node scripts/bench-peers.mjs [--repeats N] [--quick] [--json FILE]
// Whatever is installed takes part, and the report says how to install the rest. The report is Markdown on standard output;
// progress goes to standard error. Ends within 10 minutes: cases that would take longer are left out, with a note.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { noteDropped, rows, runGemm, runShape } from './peers/cases.mjs';
import { Contestant, Dropped } from './peers/contestant.mjs';
import { findContestants, installPeers, shapes } from './peers/contestants.mjs';
import { describe, markdown } from './peers/report.mjs';
import { say } from './setup/run.mjs';

const options = readOptions();
if (options) await main(options);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: { repeats: { type: 'string' }, quick: { type: 'boolean' }, json: { type: 'string' } },
    });
    const repeats = Number(values.repeats ?? (values.quick ? 2 : 5));
    if (!Number.isInteger(repeats) || repeats < 1) {
      throw new Error(`--repeats must be a whole number of at least 1, and is ${values.repeats}.`);
    }
    return { ...values, repeats };
  } catch (error) {
    console.error(`${error.message}\nUsage: npm run bench:peers -- [--repeats N] [--quick] [--json FILE]`);
    process.exitCode = 2;
  }
}

async function main({ repeats, quick = false, json }) {
  const folder = mkdtempSync(join(tmpdir(), 'webgpu-sae-bench-'));
  let entrants = [];
  const cleanUp = () => {
    for (const entrant of entrants) entrant.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  try {
    installPeers();
    const bench = {
      repeats,
      contestants: [],
      leftOut: [],
      notes: [],
      scale: quick ? 0.2 : 1,
      // No case and no round begins after the first, and no answer comes after the second.
      deadline: performance.now() + (quick ? 180 : 500) * 1000,
      lastAnswer: performance.now() + (quick ? 270 : 580) * 1000,
    };
    const digits = await writeRows(join(folder, 'rows.bin'));
    const environment = { SAE_PEER_ROWS: join(folder, 'rows.bin') };
    entrants = findContestants().map((definition) => new Contestant(definition, bench.lastAnswer));
    say(`Starting ${entrants.map(({ name }) => name).join('; ')} ...`);
    const hellos = entrants.map((entrant) => start(entrant, environment));
    for (const [i, entrant] of entrants.entries()) await enter(bench, entrant, hellos[i]);
    const { software } = bench.contestants[0].hello;
    const [byDefault, ...others] = shapes;
    const cases = [await runShape(bench, byDefault)];
    for (const size of software ? [1024] : [1024, 4096]) cases.push(await runGemm(bench, size));
    // The most important cases come first: there may not be time for all.
    for (const shape of software ? others : others.toReversed()) cases.push(await runShape(bench, shape));
    const report = describe(bench, cases.filter(Boolean), digits);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
    console.log(markdown(report));
  } catch (error) {
    console.error(process.env.DEBUG === 'sae' ? error.stack : error.message);
    process.exitCode = 1;
  } finally {
    cleanUp();
  }
}

/** Writes 60,000 digits as bytes for all to read: MNIST where it is in the cache, else the 10,000 of the package six times. */
async function writeRows(file) {
  let sae;
  try {
    sae = await import('../dist/node/index.js');
  } catch (error) {
    throw new Error(
      `The project is not built (${error.message.split('\n')[0]}). Run: npm ci && npm run build`,
    );
  }
  const { train } = await sae.loadDatasets({ dataset: 'auto', download_mnist: false });
  const bytes = new Uint8Array(rows * train.in_dims);
  for (let at = 0; at < bytes.length; at += train.data.length) bytes.set(train.data, at);
  writeFileSync(file, bytes);
  return train.rows === rows
    ? 'MNIST'
    : `the ${train.rows.toLocaleString('en')} digits of ${train.name}, six times`;
}

/** Side by side: importing PyTorch takes some seconds, and there may be several. */
function start(entrant, environment) {
  const hello = entrant.missing ? Promise.reject(new Dropped(entrant.missing)) : entrant.start(environment);
  hello.catch(() => {}); // enter() waits for it
  return hello;
}

async function enter(bench, entrant, hello) {
  const { name } = entrant;
  try {
    entrant.hello = await hello;
    for (const note of entrant.hello.notes ?? []) bench.notes.push(`${name}: ${note}.`);
    const ours = bench.contestants[0]?.hello.adapter;
    if (entrant.webgpu && entrant.hello.adapter !== ours) {
      bench.notes.push(`${name} ran on another adapter than ours: ${entrant.hello.adapter}.`);
    }
    bench.contestants.push(entrant);
  } catch (error) {
    entrant.stop();
    if (entrant.ours) throw new Error(`webgpu-sae itself cannot take part: ${error.message}.`);
    noteDropped(bench, name, undefined, error);
  }
}
