// This project, by what its package exports, as one more contestant: node scripts/peers/ours.mjs [shared]
// An epoch is the Trainer's own: shuffling, reading rows by index and metrics are in the time. With `shared`, matrices are
// multiplied by the family of kernels for GPUs, by its best tile for the size.
import { readFileSync } from 'node:fs';
import { initialLayers, packageVersion, readRows, Skip, serve, settings } from './peer.mjs';

const dist = new URL('../../dist/', import.meta.url);

/** Tiles of the shared family: 16 to 64 products a value read, 64 to 256 invocations. */
const sharedTiles = [
  { tile_rows: 2, tile_columns: 2, threads_rows: 16, threads_columns: 16, slice_depth: 2 },
  { tile_rows: 2, tile_columns: 2, threads_rows: 8, threads_columns: 8, slice_depth: 4 },
  { tile_rows: 2, tile_columns: 2, threads_rows: 8, threads_columns: 16, slice_depth: 4 },
  { tile_rows: 1, tile_columns: 1, threads_rows: 16, threads_columns: 16, slice_depth: 4 },
  { tile_rows: 1, tile_columns: 1, threads_rows: 8, threads_columns: 8, slice_depth: 4 },
].map((sizes) => ({ family: 'shared', ...sizes }));

const shared = process.argv[2] === 'shared';

let sae;
let gpu;
let trainer;
/** The shared family's fastest tile by size of a product. */
const bestTiles = new Map();

await serve(hello, { prepare, turn, gemm });

async function hello() {
  try {
    sae = await import(new URL('node/index.js', dist));
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Skip('it is not built, or its packages are missing: run npm run build.');
  }
  gpu = await sae.openGpu();
  if (shared && !gpu.software) throw new Skip('on a GPU it is what is used anyway.');
  const { version } = JSON.parse(readFileSync(new URL('../package.json', dist), 'utf8'));
  const versions = {
    'webgpu-sae': version,
    webgpu: packageVersion('webgpu', import.meta.url),
    Node: process.versions.node,
  };
  return { adapter: gpu.name, software: gpu.software, versions };
}

async function prepare(shape) {
  trainer?.close();
  trainer?.model.close();
  const { in_dims, h_dims, batch_size, k } = shape;
  const selects = k !== undefined;
  const config = sae.parseModelConfig({ in_dims, h_dims, pre_bias: selects });
  const model = await sae.Model.from(gpu, config, initialParameters(shape));
  // The peers do not revive latents.
  const options = selects ? { lr: settings.lr, sparsity: 'topk', k, revive: 'none' } : settings;
  trainer = await sae.Trainer.create(model, selects ? madeUpRows(in_dims) : digits(in_dims), {
    ...options,
    batch_size,
  });
  return turn({ steps: 1 });
}

function digits(in_dims) {
  const { rows, data } = readRows(in_dims);
  const normalization = sae.mnistNormalization;
  return { name: 'the benchmark’s digits', rows, in_dims, data, normalization };
}

/** As torch_loops.py has them: normal numbers. */
function madeUpRows(in_dims) {
  const rows = 8192;
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const data = Float32Array.from({ length: rows * in_dims }, normal);
  return { name: 'made-up rows', rows, in_dims, data, normalization: { mean: 0, std: 1 } };
}

async function turn({ steps: count }) {
  let total = 0;
  const began = performance.now();
  for await (const { steps } of trainer.steps({ count })) {
    for (const { loss } of steps) total += loss;
  }
  return { seconds: (performance.now() - began) / 1000, steps: count, loss: total / count };
}

/** The initial weights that the other peers in JavaScript have, by their names in a saved model. */
function initialParameters(shape) {
  const parameters = new Map();
  initialLayers(shape).forEach(({ inputs, outputs, weight, bias }, i) => {
    const half = shape.h_dims.length;
    const name = i < half ? `encoder.${2 * i}` : `decoder.${2 * (i - half)}`;
    parameters.set(`${name}.weight`, { shape: [outputs, inputs], data: weight });
    parameters.set(`${name}.bias`, { shape: [outputs], data: bias });
  });
  return parameters;
}

async function gemm({ size, times }) {
  const { Tensor } = await import(new URL('gpu/index.js', dist));
  const tensors = ['a', 'b', 'c'].map((name) => new Tensor(gpu, name, [size, size]));
  const values = Float32Array.from({ length: size * size }, () => Math.random() - 0.5);
  for (const operand of tensors.slice(0, 2)) operand.write(values);
  if (shared && !bestTiles.has(size)) {
    const seconds = [];
    for (const tile of sharedTiles) seconds.push(await timeProducts(tensors, 1, tile));
    bestTiles.set(size, sharedTiles[seconds.indexOf(Math.min(...seconds))]);
  }
  const seconds = await timeProducts(tensors, times, bestTiles.get(size));
  for (const tensor of tensors) tensor.destroy();
  return { seconds, times };
}

/** Seconds for as many products, after one that is not timed. The engine's own choice where no tile is given. */
async function timeProducts(tensors, times, tile) {
  const { multiply, Program } = await import(new URL('gpu/index.js', dist));
  const program = new Program(gpu);
  await multiply(program, 'nn', ...tensors, tile);
  await program.ready();
  const run = async (count) => {
    for (let i = 0; i < count; i++) program.submit();
    await gpu.finish();
  };
  await run(1);
  const began = performance.now();
  await run(times);
  const seconds = (performance.now() - began) / 1000;
  program.destroy();
  return seconds;
}
