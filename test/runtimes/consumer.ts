// A program of a user's, which knows the package by its types alone: the README's example, and all three of its entrances.
import {
  type Dataset,
  decodeModel,
  type EpochMetrics,
  encodeModel,
  loadDatasets,
  Model,
  openGpu,
  type Snapshot,
  Trainer,
} from 'webgpu-sae';
import { Gpu, type TrainOptions } from 'webgpu-sae/engine';
import { Program, Tensor } from 'webgpu-sae/gpu';

async function train(): Promise<number> {
  const gpu = await openGpu();
  const { train: rows } = await loadDatasets({ dataset: 'mnist-10k' });
  const model = await Model.create(gpu, { in_dims: 784, h_dims: [16] });
  const options: TrainOptions = { epochs: 1, lr: 1e-3 };
  const trainer = await Trainer.create(model, rows, options);
  const losses: EpochMetrics['loss'][] = [];
  for await (const { loss, active } of trainer.epochs()) losses.push(loss, active);
  const snapshot: Snapshot = await trainer.snapshot();
  const normalization = { mean: 0, std: 1 };
  const own: Dataset = { name: 'x', rows: 1, in_dims: 784, data: new Float32Array(784), normalization };
  const codes: Float32Array = await model.encode(own);
  const file = encodeModel({ config: model.config, parameters: await model.parameters() });
  gpu.close();
  return losses.length + codes.length + snapshot.done + decodeModel(file, 'x').config.in_dims;
}

async function product(loadShader: (file: string) => Promise<string>, provider: GPU): Promise<number> {
  const gpu = await Gpu.open(provider, loadShader);
  const tensor = new Tensor(gpu, 'a', [2, 3]);
  const device: GPUDevice = gpu.device;
  return new Program(gpu).length + tensor.rows + device.limits.maxBufferSize;
}

// @ts-expect-error What is no option is an error: the types are there, and not `any`.
const wrong: TrainOptions = { epoch: 1 };
// @ts-expect-error
const noText: string = openGpu();

console.log(train, product, wrong, noText);
