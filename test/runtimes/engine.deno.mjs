// Run by Deno: the engine as it is built, on Deno's own WebGPU, which is wgpu with naga, and nothing of Dawn.
// What to do comes as JSON on standard input, what it gave goes out as JSON: deno.test.ts compares.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { multiply, Program, Tensor } from '../../dist/gpu/index.js';
import { decodeDataset, evaluate, Gpu, Model, parseTrainConfig, Trainer } from '../../dist/sae/index.js';
import { optimizerOf } from '../../dist/sae/optimizer/index.js';
import { momentsOf } from '../../dist/sae/step/update.js';

const { tiles, configs, vectors, job } = JSON.parse(readFileSync(0, 'utf8'));
const folder = new URL('../../shaders/', import.meta.url);

/** Files that kernels were made of. */
const used = new Set();
/**
 * In the place of `enable subgroups;` where there are none, so that all of those kernels but this one function is checked.
 */
const withoutSubgroups = 'fn subgroupShuffle(value: f32, lane: u32) -> f32 { return value + f32(lane); }\n';
const gpu = await Gpu.open(navigator.gpu, (file) => {
  used.add(file);
  const text = readFileSync(new URL(file, folder), 'utf8');
  if (gpu.device.features.has('subgroups')) {
    return text;
  }
  return file === 'gemm/enable_subgroups.wgsl'
    ? withoutSubgroups
    : text.replace('enable subgroups;\n', '').replace(/subgroup(Add|ExclusiveAdd|Max)\(value\)/g, 'value');
});
const chosen = gpu.tuner.tile.bind(gpu.tuner);

/** From now on all products have one tile, or that which the engine chooses here. */
function useTile(tile) {
  gpu.tuner.tile = tile ? async () => tile : chosen;
}

/** Makes what a training has, and lends it to `use`. */
async function training(config, parameters, rows, use) {
  const { in_dims, h_dims, activation, pre_bias, tied, selection, ...options } = config;
  const flags = { ...(pre_bias && { pre_bias }), ...(tied && { tied }), ...(selection && { selection }) };
  const sizes = { in_dims, h_dims, activation, ...flags };
  const model = parameters
    ? await Model.from(gpu, sizes, new Map(parameters))
    : await Model.create(gpu, sizes, options.seed);
  const trainer = await Trainer.create(model, rows, options);
  try {
    return await use(trainer, model);
  } finally {
    trainer.close();
    model.close();
  }
}

function floats(data, in_dims) {
  const values = Float32Array.from(data);
  const normalization = { mean: 0, std: 1 };
  return { name: 'rows', rows: values.length / in_dims, in_dims, data: values, normalization };
}

const partBytes = 16_384;
/** While `use` runs, no buffer may be so large that all rows go into one. */
async function inParts(use) {
  const { limits } = gpu.device;
  const reported = new Proxy(limits, {
    get: (target, name) =>
      name === 'maxStorageBufferBindingSize' ? partBytes : Reflect.get(target, name, target),
  });
  Object.defineProperty(gpu.device, 'limits', { value: reported, configurable: true });
  try {
    return await use();
  } finally {
    Reflect.deleteProperty(gpu.device, 'limits');
  }
}

/** While `use` runs, nothing is computed: the driver compiles a kernel for seconds when it first runs, which is not naga's doing. */
async function atRest(use) {
  const { prototype } = GPUQueue;
  const { submit } = prototype;
  prototype.submit = () => {};
  try {
    return await use();
  } finally {
    prototype.submit = submit;
  }
}

/** Compiles every kernel that a training with one of the configurations, or a product by itself, is made of. */
async function compile() {
  for (const tile of [...Object.values(tiles), undefined]) {
    useTile(tile);
    // Kernels that are no products use subgroups where these are.
    Object.defineProperty(gpu, 'subgroupSize', { value: tile?.lanes, configurable: true });
    for (const [i, config] of configs.entries()) {
      const rows = floats(new Float32Array(partBytes / 2), config.in_dims);
      // What is encoded after a training is read by a file of its own where the input is centred.
      const encode = async (_, model) => {
        const few = floats(new Float32Array(16), config.in_dims);
        if (model.config.selection?.rescale_acts_by_decoder_norm) {
          await model.reconstruct(few);
        } else if (config.pre_bias || model.config.selection) {
          await model.encode(few);
        }
        if (config.sparsity === 'matryoshka') {
          await evaluate(model, few, { sparsity: 'matryoshka' });
        }
      };
      const make = (data) => training(config, undefined, { ...rows, data }, encode);
      // Rows are read by files of their own, which know nothing of what else there is: each in its turn.
      const ways = [
        () => make(rows.data),
        () => make(new Uint8Array(rows.data.length)),
        () => inParts(() => make(rows.data)),
      ];
      // In blocks of rows where a batch's pre-activations are larger than a part.
      const inBlocks = config.batch_size * config.h_dims.at(-1) * 4 > partBytes;
      await (inBlocks ? inParts(() => make(rows.data)) : ways[i % ways.length]());
    }
    for (const order of ['nn', 'nt', 'tn']) {
      const [a, b, c] = ['a', 'b', 'c'].map((name) => new Tensor(gpu, name, [8, 8]));
      const program = new Program(gpu);
      await multiply(program, order, a, b, c);
      await program.ready();
    }
  }
  Reflect.deleteProperty(gpu, 'subgroupSize');
  // For a rule with another number of moments than two, which have a file of their own.
  const rule = optimizerOf('adam');
  const files = ['metrics/step.wgsl', ...rule.files, 'optimizer/moments.wgsl', 'optimizer/update.wgsl'];
  await gpu.kernel({ files, constants: rule.constants(parseTrainConfig({})) });
  for (const file of ['bench/arithmetic.wgsl', 'bench/copy.wgsl']) {
    await gpu.kernel({ files: [file] });
  }
  await gpu.finish();
}

/** The tensor that is the code: the last encoder layer's output. */
function codeOf({ h_dims }) {
  return `encoder.${2 * (h_dims.length - 1)}.output`;
}

/** What the model of a vector gives, and what becomes of it, all its rows in one batch. */
async function train({ config: { rows: batch_size, ...config }, x, params, params_after }) {
  const parameters = Object.entries(params).map(([name, { shape, data }]) => [
    name,
    { shape, data: Float32Array.from(data) },
  ]);
  const rows = floats(x, config.in_dims);
  const epochs = Math.max(...Object.keys(params_after).map(Number));
  const options = { ...config, batch_size, epochs, shuffle: false };
  return training(options, parameters, rows, async (trainer, model) => {
    const output = [...(await model.reconstruct(rows))];
    const moments = {};
    const after = {};
    let first;
    let hidden;
    for await (const metrics of trainer.epochs()) {
      first ??= metrics;
      if (metrics.epoch === 1) {
        hidden = [...(await trainer.step.tensor(codeOf(config)).read())];
        const { build } = trainer.step;
        for (const tensor of model.trained) {
          const buffers = momentsOf(build, tensor);
          const values = [...new Float32Array(await gpu.read(build.buffer(buffers[0])))];
          // Adam's two, in a buffer each or side by side in one.
          moments[tensor.name] = { shape: tensor.shape, values, together: 2 / buffers.length };
        }
      }
      if (metrics.epoch in params_after) {
        const now = await model.parameters();
        after[metrics.epoch] = Object.fromEntries([...now].map(([name, { data }]) => [name, [...data]]));
      }
    }
    return { output, hidden, first, moments, after };
  });
}

/** Losses of the first steps of a training. */
async function losses({ config, file, steps }) {
  const rows = await decodeDataset(new Blob([readFileSync(file)]), 'digits', { in_dims: config.in_dims });
  return training(config, undefined, rows, async (trainer) => {
    const seen = [];
    for await (const { steps: done } of trainer.steps({ count: steps })) {
      seen.push(...done.map(({ loss }) => loss));
    }
    return seen;
  });
}

await atRest(compile);
useTile(tiles.register);
const trained = [];
for (const vector of vectors) {
  trained.push(await train(vector));
}
const { name, software } = gpu;
const result = { adapter: name, software, used: [...used], trained, losses: await losses(job) };
await gpu.finish();
gpu.close();
process.stdout.write(JSON.stringify(result));
