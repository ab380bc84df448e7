// The engine as a page bundles it: nothing between it and the browser but a loader for the shaders.
import { Gpu, Model, Trainer } from '../../src/sae/index.ts';

const shaders = import.meta.glob('../../shaders/*/*.wgsl', { query: '?raw', import: 'default', eager: true });

/** Trains on a parity vector's rows, all in one batch, and gives back what the first step and the parameters were. */
globalThis.train = async ({ config, x, params }, steps) => {
  const gpu = await Gpu.open(navigator.gpu, (file) => shaders[`../../shaders/${file}`]);
  const { in_dims, h_dims, activation, rows, ...training } = config;
  const parameters = new Map();
  for (const [name, { shape, data }] of Object.entries(params)) {
    parameters.set(name, { shape, data: Float32Array.from(data) });
  }
  const model = await Model.from(gpu, { in_dims, h_dims, activation }, parameters);
  const normalization = { mean: 0, std: 1 };
  const dataset = { name: 'a vector', rows, in_dims, data: Float32Array.from(x), normalization };
  const trainer = await Trainer.create(model, dataset, {
    ...training,
    batch_size: rows,
    epochs: steps,
    shuffle: false,
  });
  const metrics = [];
  for await (const epoch of trainer.epochs()) {
    metrics.push(epoch);
  }
  const after = {};
  for (const [name, { data }] of await model.parameters()) {
    after[name] = [...data];
  }
  const result = { adapter: gpu.name, metrics, after, codes: [...(await model.encode(dataset))] };
  trainer.close();
  model.close();
  gpu.close();
  return result;
};
