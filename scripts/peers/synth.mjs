// npm run bench:synth: what kinds of sparsity reach on rows whose features are known, beside PyTorch on the same rows.
//   node scripts/peers/synth.mjs [--preset small] [--seeds 1,2,3] [--kinds l1,topk,...] [--options JSON] [--json FILE]
// The report is Markdown on standard output; progress goes to standard error. `--options` has options of the model and the training, such as
// {"k":10}; those of some kinds only go to these. Two runs may go side by side: PyTorch uses one thread.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root, say } from '../setup/run.mjs';
import { Contestant } from './contestant.mjs';
import { findSynthPeer } from './contestants.mjs';
import { synthTable } from './report.mjs';

/** Rows in each of the two windows of rows on the device, in batches; and rows that are made or read at a time. */
const windowBatches = 16;
const blockRows = 8192;
/** Seconds for a training by PyTorch, at most. */
const longest = 24 * 3600;

const usage =
  'Usage: npm run bench:synth -- [--preset small] [--seeds 1,2,3] [--kinds l1,topk,...] [--options JSON] [--json FILE]';

if (!existsSync(join(root, 'dist/node/index.js'))) {
  throw new Error('The project is not built. Run: npm ci && npm run build');
}
const sae = await import('../../dist/node/index.js');
const options = readOptions();
if (options) await main(options);

function readOptions() {
  const kinds = ['l1', 'topk', 'batchtopk', 'matryoshka', 'jumprelu'];
  try {
    const texts = Object.fromEntries(
      ['preset', 'seeds', 'kinds', 'options', 'json'].map((name) => [name, { type: 'string' }]),
    );
    const { values } = parseArgs({ options: texts });
    const { preset = 'small', seeds = '1,2,3', kinds: named = kinds.join(), options = '{}', json } = values;
    if (!sae.synthPresetNames.includes(preset)) {
      throw new Error(`--preset must be one of ${sae.synthPresetNames.join(', ')}, and is ${preset}.`);
    }
    const read = { preset, seeds: seeds.split(',').map(Number), kinds: named.split(','), json };
    const other = read.kinds.find((kind) => !kinds.includes(kind));
    if (other !== undefined) throw new Error(`--kinds must be of ${kinds.join(', ')}, and has ${other}.`);
    const given = parseOptions(options);
    // Before anything is made: each training's options are checked.
    for (const seed of read.seeds) {
      for (const kind of read.kinds) sae.synthRun(sae.synthPresets[preset], seed, givenFor(kind, given));
    }
    return { ...read, given };
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exitCode = 2;
  }
}

function parseOptions(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`--options is not JSON: ${error.message}.`);
  }
}

/** Of the given options those that a kind has, or nobody. */
function givenFor(kind, given) {
  const model = {};
  const training = { sparsity: kind };
  for (const [name, value] of Object.entries(given)) {
    if (sae.modelOptions.some((option) => option.name === name)) model[name] = value;
    else if (isFor(kind, name)) training[name] = value;
  }
  return { model, training };
}

function isFor(kind, name) {
  const owners = sae.trainOptions.find((option) => option.name === name)?.owners ?? [];
  const kinds = owners.filter(({ choice }) => choice === 'sparsity').map(({ value }) => value);
  return kinds.length === 0 || kinds.includes(kind);
}

async function main({ preset: name, seeds, kinds, given, json }) {
  const preset = sae.synthPresets[name];
  const folder = mkdtempSync(join(tmpdir(), 'webgpu-sae-synth-'));
  const rowsFile = join(folder, 'rows.npy');
  const torch = new Contestant(findSynthPeer(), Number.POSITIVE_INFINITY);
  const report = { preset: name, options: given, results: [] };
  let gpu;
  const cleanUp = () => {
    torch.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  try {
    if (torch.missing) throw new Error(`PyTorch cannot take part: ${torch.missing}`);
    const { versions } = await torch.start({});
    gpu = await sae.openGpu();
    Object.assign(report, { adapter: gpu.name, versions });
    for (const seed of seeds) {
      const runs = kinds.map((kind) => sae.synthRun(preset, seed, givenFor(kind, given)));
      say(`seed ${seed}: rows ...`);
      const data = await sae.SynthData.create({ ...preset.data, seed });
      await writeRows(rowsFile, data, Math.max(...runs.map(({ rows }) => rows)));
      const dataset = await sae.readDataset(rowsFile);
      for (const run of runs) {
        const { sparsity } = run.config;
        const save = join(folder, 'sae.safetensors');
        const { options, ours, theirs } = await trainBoth({ gpu, torch, run, dataset, data, rowsFile, save });
        note(report, json, { sparsity, seed, who: 'webgpu-sae', options, ...ours });
        note(report, json, { sparsity, seed, who: 'PyTorch', ...theirs });
      }
    }
  } catch (error) {
    console.error(process.env.DEBUG === 'sae' ? error.stack : error.message);
    process.exitCode = 1;
  } finally {
    gpu?.close();
    cleanUp();
    // What was done until a failure, too.
    if (report.results.length > 0) console.log(synthTable(report.results));
  }
}

/** Adds a result to the report, says it, and writes all so far: the next may take long. */
function note(report, json, result) {
  report.results.push(result);
  const { sparsity, seed, who, options: _, seconds, ...scores } = result;
  const figures = ['mcc', 'f1', 'uniqueness', 'l0', 'dead', 'r2'].map(
    (score) => `${score} ${Number(scores[score].toFixed(4))}`,
  );
  say(`seed ${seed}: ${sparsity}, ${who}: ${figures.join(', ')}; ${seconds.toFixed(1)} s`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

/** Writes the first rows of the stream as a .npy file. */
async function writeRows(file, data, rows) {
  const source = data.source(rows);
  async function* blocks() {
    for (let first = 0; first < rows; first += blockRows) {
      yield source.read(first, Math.min(rows, first + blockRows));
    }
  }
  await sae.writeNpy(file, [rows, source.in_dims], blocks());
}

/** Trains as `sae synth` does, but on rows that are there already, and with PyTorch on the same; scores both. */
async function trainBoth({ gpu, torch, run, dataset, data, rowsFile, save }) {
  const { sizes, config, rows, start_rows } = run;
  const model = await sae.Model.create(gpu, sizes, config, firstRows(dataset, start_rows));
  let trainer;
  try {
    const placement = { window_rows: windowBatches * config.batch_size };
    trainer = await sae.Trainer.create(model, firstRows(dataset, rows), config, placement);
    // Where it is left to the engine, after how many rows a latent is dead.
    const training = { ...trainer.config, dead_after: trainer.step.build.deadAfter };
    // First, since it may refuse.
    const request = { rows: rowsFile, model: model.config, training, start_rows, save };
    const { seconds: theirSeconds } = await torch.ask(request, longest);
    const began = performance.now();
    for await (const _ of trainer.steps({ count: config.steps })) {
      // Nothing to do between steps.
    }
    const seconds = (performance.now() - began) / 1000;
    const saved = await sae.readModelFile(save);
    const peer = await sae.Model.from(gpu, saved.config, saved.parameters);
    try {
      const score = (of) => sae.measureRecovery(of, data, run.evaluation);
      return {
        options: { ...model.config, ...trainer.config },
        ours: { seconds, ...(await score(model)) },
        theirs: { seconds: theirSeconds, ...(await score(peer)) },
      };
    } finally {
      peer.close();
    }
  } finally {
    trainer?.close();
    model.close();
  }
}

function firstRows(dataset, rows) {
  return { ...dataset, rows, data: dataset.data.subarray(0, rows * dataset.in_dims) };
}
