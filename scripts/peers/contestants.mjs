// Who takes part in the benchmark: the engine itself and whatever of its peers is installed.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mayInstall, say } from '../setup/run.mjs';

const folder = dirname(fileURLToPath(import.meta.url));

/**
 * The first is the default model. `narrow` ones are bound by launches and memory more than by arithmetic. Those with a `k` select
 * so many latents of a row, and have the output's bias subtracted from the input; their rows are made up.
 */
export const shapes = [
  { in_dims: 784, h_dims: [20], batch_size: 64, narrow: true, isDefault: true },
  { in_dims: 784, h_dims: [256, 128, 64], batch_size: 64, narrow: true },
  { in_dims: 768, h_dims: [4096], batch_size: 1024, k: 32 },
  { in_dims: 100, h_dims: [2048], batch_size: 256, k: 16 },
  { in_dims: 768, h_dims: [16384], batch_size: 1024, k: 32 },
  { in_dims: 784, h_dims: [1024], batch_size: 64 },
  { in_dims: 784, h_dims: [4096], batch_size: 256 },
  { in_dims: 768, h_dims: [4096], batch_size: 1024 },
];

/** npm ci in scripts/peers, where that is allowed and not done. Without it the peers in JavaScript say what they lack. */
export function installPeers() {
  if (existsSync(join(folder, 'node_modules/.package-lock.json')) || !mayInstall()) return;
  say('Installing the peers in JavaScript (npm ci in scripts/peers) ...');
  const shell = process.platform === 'win32';
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=1'];
  // A machine without network should not wait for one.
  spawnSync('npm', ['ci', ...options], { cwd: folder, stdio: ['ignore', 2, 2], shell, timeout: 180_000 });
}

const everything = () => true;
const matrices = ({ shape }) => shape?.k === undefined;
const narrow = ({ shape }) => shape?.narrow;
const products = ({ size }) => size !== undefined;

/**
 * What the runner can start, in the order of the report, this project first.
 * @returns [{ name, command, environment?, takes, ours?, webgpu?, wholeEpochs?, missing? }]: `takes` tells of a case, { shape } or
 * { size } of a product, whether it is for this contestant; `wholeEpochs` measures whole epochs of the default model;
 * `missing` is a sentence in place of a command.
 */
export function findContestants() {
  const node = (file, ...rest) => [process.execPath, join(folder, file), ...rest];
  return [
    { name: 'webgpu-sae', ours: true, command: node('ours.mjs'), takes: everything, wholeEpochs: true },
    {
      name: 'webgpu-sae, best shared-memory tile',
      command: node('ours.mjs', 'shared'),
      takes: products,
      webgpu: true,
    },
    ...findPyTorch(),
    { name: 'TensorFlow.js, WebGPU', command: node('tfjs.mjs', 'webgpu'), takes: matrices, webgpu: true },
    {
      name: 'TensorFlow.js, WebGPU, by hand',
      command: node('tfjs.mjs', 'webgpu', 'by-hand'),
      takes: ({ shape }) => shape !== undefined && matrices({ shape }),
      webgpu: true,
    },
    {
      name: 'TensorFlow.js, WebAssembly',
      command: node('tfjs.mjs', 'wasm'),
      takes: ({ shape, size }) => shape?.narrow || size <= 1024,
    },
    { name: 'jax-js, WebGPU', command: node('jax.mjs', 'webgpu'), takes: matrices, webgpu: true },
    {
      name: 'jax-js, WebAssembly',
      command: node('jax.mjs', 'wasm'),
      takes: ({ shape, size }) => shape?.narrow || size <= 1024,
    },
  ];
}

const noTorch =
  'no python3 here has torch. On Debian and Ubuntu: apt-get install python3-torch python3-pil libopenblas0-pthread; ' +
  'elsewhere: pip install torch numpy pillow';

/** Who trains on rows whose features are known beside this project: torch_synth.py, on one thread of a processor. */
export function findSynthPeer() {
  const [found] = findPythons();
  return found === undefined
    ? { name: 'PyTorch', missing: noTorch }
    : {
        name: `PyTorch ${found.version}`,
        command: [found.python, join(folder, 'torch_synth.py')],
        environment: threadsOf(1),
      };
}

function findPyTorch() {
  const pythons = findPythons();
  if (pythons.length === 0) return [{ name: 'PyTorch', missing: noTorch }];
  return pythons.flatMap(({ python, version, cuda }) => {
    const contestant = (variant, device, threads, takes, more) => ({
      name: [
        `PyTorch ${version.replace(/\+.*/, '')}`,
        variant.replace('-', ' '),
        where(device, threads),
      ].join(', '),
      command: [python, join(folder, 'torch_peer.py'), variant, device],
      environment: device === 'cuda' ? {} : { ...threadsOf(threads), CUDA_VISIBLE_DEVICES: '' },
      takes,
      ...more,
    });
    const onCpu = ({ shape, size }) => shape !== undefined || size <= 1024;
    const wide = ({ shape, size }) => (shape ? !shape.narrow : size <= 1024);
    const isDefault = ({ shape }) => shape?.isDefault;
    const trained = ({ shape }) => shape !== undefined && matrices({ shape });
    const original = contestant('original', 'cpu', 1, isDefault, { wholeEpochs: true });
    if (cuda) {
      return [
        original,
        contestant('preloaded', 'cpu', 1, isDefault),
        contestant('original', 'cuda', 0, isDefault),
        contestant('preloaded', 'cuda', 0, everything),
        contestant('graphs', 'cuda', 0, trained),
        contestant('compile', 'cuda', 0, trained),
        contestant('compiled-graphs', 'cuda', 0, trained),
      ];
    }
    return [
      original,
      contestant('preloaded', 'cpu', 1, onCpu),
      contestant('by-hand', 'cpu', 1, narrow),
      // Compiling takes longer than a minute.
      contestant('compile', 'cpu', 1, isDefault),
      // With several threads small batches get slower, large ones faster.
      contestant('preloaded', 'cpu', availableParallelism(), wide),
    ];
  });
}

function where(device, threads) {
  if (device === 'cuda') return 'CUDA';
  return threads === 1 ? 'one thread' : `${threads} threads`;
}

function threadsOf(threads) {
  const names = ['OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'];
  return Object.fromEntries(names.map((name) => [name, String(threads)]));
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
