import { z } from 'zod';
import { type ModelConfig, parseModelConfig, type TrainConfig, trainConfig } from './config.js';
import type { Dataset, Normalization } from './dataset.js';
import { ConfigError, ModelFileError } from './errors.js';
import { layersOf, parameterShapes } from './layers.js';
import type { Parameters } from './model.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';

/** A model as a file holds it. */
export interface SavedModel {
  readonly config: ModelConfig;
  readonly parameters: Parameters;
  /** How the inputs that it was trained on were normalised; absent in a file that another program wrote. */
  readonly normalization?: Normalization;
  /** [height, width] where its inputs are images. */
  readonly image_shape?: Dataset['image_shape'];
  /** How it was trained. */
  readonly training?: Partial<TrainConfig>;
}

/** The bytes of a safetensors file: weights by their `state_dict` names, the rest as metadata in JSON. */
export function encodeModel({ parameters, ...description }: SavedModel): Uint8Array<ArrayBuffer> {
  const metadata = new Map([['format', 'pt']]);
  for (const [key, value] of Object.entries(description)) {
    metadata.set(key, JSON.stringify(value));
  }
  return encodeSafetensors({ tensors: parameters, metadata });
}

const finite = z.number();
const length = z.number().int().min(1);
const descriptions = {
  activation: z.object({ activation: z.enum(['relu', 'sigmoid']) }),
  normalization: z.object({ mean: finite, std: finite.gt(0) }),
  image_shape: z.tuple([length, length]),
  training: trainConfig,
} as const;

/**
 * Reads a file that `encodeModel` made, or one of the same tensors that another program saved (sizes are taken from
 * the tensors; without metadata the activation is ReLU).
 * @param source what messages call the file.
 * @throws ModelFileError with what was wrong and what was expected.
 */
export function decodeModel(bytes: Uint8Array, source: string): SavedModel {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const fail = (sentence: string): never => {
    throw new ModelFileError(`${source} is not a model that can be read: ${sentence}`);
  };
  const described = <T>(key: string, schema: z.ZodType<T>): T | undefined => {
    const text = metadata.get(key);
    if (text === undefined) {
      return undefined;
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      return fail(`its metadata has ${key} ${text.slice(0, 80)}, which makes no sense.`);
    }
  };

  const activation = described('config', descriptions.activation)?.activation ?? 'relu';
  const config = sizesOf(tensors, activation, fail);
  for (const [name, shape] of layersOf(config).flatMap(parameterShapes)) {
    const found = tensors.get(name);
    if (found?.shape.join() !== shape.join()) {
      const is = found ? `is [${found.shape.join(', ')}]` : 'is missing';
      fail(`the tensor ${name} ${is}, and [${shape.join(', ')}] was expected.`);
    }
  }
  const expected = 4 * config.h_dims.length;
  if (tensors.size !== expected) {
    fail(`it has ${tensors.size} tensors, and an autoencoder of its sizes has ${expected}.`);
  }
  const normalization = described('normalization', descriptions.normalization);
  const image_shape = described('image_shape', descriptions.image_shape);
  if (image_shape && image_shape[0] * image_shape[1] !== config.in_dims) {
    fail(`its image_shape is [${image_shape}], and its input has ${config.in_dims} values.`);
  }
  const training = described('training', descriptions.training);
  return {
    config,
    parameters: tensors,
    ...(normalization && { normalization }),
    ...(image_shape && { image_shape }),
    ...(training && { training }),
  };
}

function sizesOf(
  tensors: Parameters,
  activation: ModelConfig['activation'],
  fail: (sentence: string) => never,
): ModelConfig {
  const h_dims: number[] = [];
  let in_dims = 0;
  for (let layer = 0; ; layer++) {
    const weight = tensors.get(`encoder.${2 * layer}.weight`);
    if (!weight) {
      break;
    }
    if (weight.shape.length !== 2) {
      fail(
        `the tensor encoder.${2 * layer}.weight has shape [${weight.shape.join(', ')}], and two dimensions were expected.`,
      );
    }
    if (layer === 0) {
      in_dims = weight.shape[1];
    }
    h_dims.push(weight.shape[0]);
  }
  if (h_dims.length === 0) {
    fail('it has no tensor encoder.0.weight.');
  }
  try {
    return parseModelConfig({ in_dims, h_dims, activation });
  } catch (error) {
    return fail(error instanceof ConfigError ? error.message : String(error));
  }
}
