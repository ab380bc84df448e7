import type { Gpu } from '../../src/gpu/gpu.js';
import type { ModelConfig, ModelOptions, TrainOptions } from '../../src/sae/config.js';
import { Model } from '../../src/sae/model/model.js';
import type { Parameters } from '../../src/sae/model/parameter.js';
import { randomPair, shuffle } from '../../src/sae/model/random.js';
import { transposed } from '../../src/sae/model/transposed.js';
import type { Dataset } from '../../src/sae/rows/dataset.js';
import type { SparsityName } from '../../src/sae/sparsity/index.js';
import { momentsOf } from '../../src/sae/step/update.js';
import type { EpochMetrics } from '../../src/sae/training/metrics.js';
import type { Placement } from '../../src/sae/training/placement.js';
import { Trainer } from '../../src/sae/training/trainer.js';
import { type ParameterSet, type ReferenceConfig, toParameterSet } from '../reference/autoencoder.js';
import { seededRandom } from '../reference/random.js';
import { reals, sameBits } from './device.js';
import { deinterleaved } from './moments.js';

/** Without what some kinds of sparsity do by default about dead latents. */
export const plain = { revive: 'none' } as const;

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
export function modelConfig({
  in_dims,
  h_dims,
  activation,
  pre_bias,
  tied,
  sparsity,
  k,
  rescale_acts_by_decoder_norm: rescaled,
}: ReferenceConfig): ModelConfig {
  const selections: Readonly<Record<string, ModelConfig['selection']>> = {
    ...(k !== undefined && { topk: { topk: k } }),
    batchtopk: { threshold: 'shared' },
    matryoshka: { threshold: 'shared' },
    jumprelu: { threshold: 'each' },
  };
  const selection = selections[sparsity ?? 'kl'];
  return {
    in_dims,
    h_dims: [...h_dims],
    activation,
    ...(pre_bias && { pre_bias }),
    ...(tied && { tied }),
    ...(selection && {
      selection: { ...selection, ...(rescaled && { rescale_acts_by_decoder_norm: true as const }) },
    }),
  };
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
export async function trained<S extends SparsityName = 'kl'>(
  gpu: Gpu,
  config: ModelOptions,
  dataset: Dataset,
  options: TrainOptions<S>,
  placement: Placement = {},
): Promise<{ epochs: EpochMetrics<S>[]; parameters: Parameters }> {
  const model = await Model.create(gpu, config, options.seed);
  try {
    const trainer = await Trainer.create(model, dataset, options, placement);
    try {
      const epochs: EpochMetrics<S>[] = [];
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
 * The gradient that a trainer's first step used. Where it is fused it is not stored: Adam's first moment, from zero, is a tenth
 * of it.
 */
export async function firstGradient<S extends SparsityName>(
  { step }: Trainer<S>,
  name: string,
): Promise<Float32Array<ArrayBuffer>> {
  const tensor = step.model.tensors.find((candidate) => candidate.name === name)!;
  const buffers = momentsOf(step.build, tensor);
  const moments = new Float32Array(await step.model.gpu.read(step.build.buffer(buffers[0])));
  const gradient = deinterleaved(tensor.shape, moments, buffers.length === 1 ? 2 : 1)[0].map((m) => m * 10);
  const turned = step.model.layers.some(({ weight, byLatents }) => weight === tensor && byLatents);
  return turned ? transposed(gradient, tensor.rows) : gradient;
}
