import type { Gpu } from '../../src/gpu/gpu.js';
import type { ModelConfig, ModelOptions, TrainOptions } from '../../src/sae/config.js';
import type { Dataset } from '../../src/sae/dataset.js';
import type { EpochMetrics } from '../../src/sae/metrics.js';
import { Model, type Parameters } from '../../src/sae/model.js';
import { randomPair, shuffle } from '../../src/sae/random.js';
import { Trainer } from '../../src/sae/trainer.js';
import { type ParameterSet, type ReferenceConfig, toParameterSet } from '../reference/autoencoder.js';
import { seededRandom } from '../reference/random.js';
import { rawValues, reals, sameBits } from './device.js';
import { deinterleaved } from './separate-step.js';

/** f32 rows as they are, not normalised. */
export function floatRows(data: ArrayLike<number>, in_dims: number): Dataset {
  const values = Float32Array.from(data);
  const normalization = { mean: 0, std: 1 };
  return { name: 'test rows', rows: values.length / in_dims, in_dims, data: values, normalization };
}

/** Random 8-bit rows, normalised as MNIST's digits are. */
export function byteRows(rows: number, in_dims: number, seed: number): Dataset {
  const values = reals(seededRandom(seed), rows * in_dims, 0, 255.99);
  const normalization = { mean: 0.1307, std: 0.3081 };
  return { name: 'test bytes', rows, in_dims, data: Uint8Array.from(values), normalization };
}

/** The part of a configuration that is the model's. */
export function modelConfig({ in_dims, h_dims, activation }: ReferenceConfig): ModelConfig {
  return { in_dims, h_dims: [...h_dims], activation };
}

/** Parameters of the reference, or of a parity vector, as a model on the device takes them. */
export function toParameters(
  set: Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>,
): Parameters {
  return new Map(
    Object.entries(set).map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]),
  );
}

/** A model's parameters in double precision, for the reference to go on with. */
export function toReference(parameters: Parameters): ParameterSet {
  return toParameterSet(Object.fromEntries(parameters));
}

export function sameParameters(a: Parameters, b: Parameters): boolean {
  return [...a].every(([name, { data }]) => sameBits(data, b.get(name)!.data)) && a.size === b.size;
}

/** The orders in which a `Trainer` takes the rows, epoch after epoch. */
export function* rowOrders(rows: number, seed: number): Generator<Uint32Array<ArrayBuffer>> {
  const random = randomPair(seed).forOrder;
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  for (;;) {
    shuffle(order, random);
    yield order;
  }
}

/** Trains a new model to the end; what each epoch gave, and the parameters after the last. */
export async function trained(
  gpu: Gpu,
  config: ModelOptions,
  dataset: Dataset,
  options: TrainOptions,
): Promise<{ epochs: EpochMetrics[]; parameters: Parameters }> {
  const model = await Model.create(gpu, config, options.seed);
  try {
    const trainer = await Trainer.create(model, dataset, options);
    try {
      const epochs: EpochMetrics[] = [];
      for await (const epoch of trainer.epochs()) {
        epochs.push(epoch);
      }
      return { epochs, parameters: await model.parameters() };
    } finally {
      trainer.close();
    }
  } finally {
    model.close();
  }
}

/**
 * The gradient that a trainer's first step used. The step never stores it: Adam's first moment, from zero, is a tenth
 * of it.
 */
export async function firstGradient(trainer: Trainer, name: string): Promise<Float32Array<ArrayBuffer>> {
  const { layers } = trainer.step.model;
  const layer = layers.find((candidate) => name.startsWith(`${candidate.name}.`))!;
  const { shape } = name.endsWith('weight') ? layer.weight : layer.bias;
  const moments = await rawValues(trainer.step.tensor(`${name}.moments`));
  return deinterleaved(shape, moments)[0].map((m) => m * 10);
}
