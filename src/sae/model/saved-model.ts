import { z } from 'zod';
import { shown } from '../../gpu/shown.js';
import {
  activations,
  type ModelConfig,
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
  trainOptions,
} from '../config.js';
import { ConfigError, DataError, ModelFileError } from '../errors.js';
import { checkNormalization, isShape } from '../rows/check.js';
import type { Dataset, Normalization } from '../rows/dataset.js';
import type { ByteSource } from '../rows/formats/bytes.js';
import { type SparsityName, sparsityNames } from '../sparsity/index.js';
import { layersOf, parametersOf } from './layers.js';
import type { Model } from './model.js';
import { checkParameters, type Parameters } from './parameter.js';
import { decodeSafetensors, readSafetensors, type Safetensors, safetensorsParts } from './safetensors.js';
import {
  normalizationFields,
  normalizationTensors,
  partTensors,
  readNormalization,
} from './saved-normalization.js';
import { checkTied, isUntied } from './tied.js';

/** A model as it is in a file. */
export interface SavedModel {
  readonly config: ModelConfig;
  readonly parameters: Parameters;
  /** How the training rows were normalised; absent in files of other programs. */
  readonly normalization?: Normalization;
  /** Set if its inputs are images. */
  readonly image_shape?: Dataset['image_shape'];
  /** How it was trained. */
  readonly training?: Partial<TrainConfig<SparsityName>>;
  /** Metadata fields of ours that could not be used: another program or a later version wrote them. */
  readonly passed_over?: readonly string[];
  /** Sentences about what its user should know, if another program saved it: they are in no file of this one. */
  readonly notes?: readonly string[];
}

/** How a saved model is read. */
export interface ReadOptions {
  /** The activation, if the file does not name it; `relu` by default. */
  readonly activation?: ModelConfig['activation'];
}

/** What is saved of a model between two submits, with the normalisation and image shape of its training rows. */
export async function savedModel(
  model: Model,
  { normalization, image_shape }: Pick<Dataset, 'normalization' | 'image_shape'>,
  training?: SavedModel['training'],
): Promise<SavedModel> {
  return {
    config: model.config,
    parameters: await model.parameters(),
    normalization,
    ...(image_shape && { image_shape }),
    ...(training && { training }),
  };
}

/** @throws ConfigError, DataError if this is nothing that could be read again. */
function checkSaved({ config, parameters, normalization, image_shape }: SavedModel): void {
  const { in_dims } = parseModelConfig(config);
  checkParameters(parameters, layersOf(config).flatMap(parametersOf));
  checkTied(config, parameters);
  if (normalization !== undefined) {
    checkNormalization(normalization, in_dims, 'the model');
  }
  if (image_shape !== undefined && !isShape(image_shape, in_dims)) {
    throw new DataError(
      `The image_shape of the model is ${shown(image_shape)}; expected [height, width] or [height, width, 3] of ${in_dims} values.`,
    );
  }
}

/**
 * What a safetensors file has of a model: weights by their `state_dict` names, arrays of the normalisation after them, the
 * rest as metadata in JSON.
 * @throws ConfigError, DataError if it could not be read again.
 */
export function modelContent({
  parameters,
  training,
  passed_over: _,
  notes: __,
  ...description
}: SavedModel): Safetensors {
  checkSaved({ parameters, ...description });
  const metadata = new Map([['format', 'pt']]);
  const { normalization } = description;
  const fields = {
    ...description,
    ...(normalization && { normalization: normalizationFields(normalization) }),
  };
  for (const [key, value] of Object.entries(fields)) {
    metadata.set(key, JSON.stringify(value));
  }
  if (training) {
    metadata.set('training', JSON.stringify(compatible(training)));
  }
  const arrays = normalizationTensors(normalization, description.config.in_dims);
  return { tensors: new Map([...parameters, ...arrays]), metadata };
}

/** The parts of the file. @throws as `modelContent`. */
export function modelParts(saved: SavedModel): Iterable<Uint8Array<ArrayBuffer>> {
  return safetensorsParts(modelContent(saved));
}

/** The bytes of the whole file. */
export function encodeModel(saved: SavedModel): Uint8Array<ArrayBuffer> {
  const parts = [...modelParts(saved)];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Options that every version knows; version 0.1.0 rejects files with others. */
const always = new Set([
  'batch_size',
  'epochs',
  'lr',
  'sparsity_lambda',
  'sparsity_target',
  'seed',
  'shuffle',
]);

/**
 * Leaves out epochs that do not count and, of the kind of sparsity that the first version had, the options that later ones added if they
 * have its defaults. The defaults of other kinds may yet change.
 */
function compatible(training: Partial<TrainConfig<SparsityName>>): object {
  const { sparsity } = training;
  const standard: Readonly<Record<string, unknown>> =
    sparsity === sparsityNames[0] ? parseTrainConfig({}) : {};
  return Object.fromEntries(
    Object.entries(training).filter(([name, value]) => {
      if (name === 'sparsity') {
        return value !== sparsityNames[0];
      }
      if (name === 'epochs' && training.steps !== undefined) {
        return false;
      }
      return always.has(name) || (isKnown(name) && JSON.stringify(value) !== JSON.stringify(standard[name]));
    }),
  );
}

const length = z.number().int().min(1);
const descriptions = {
  config: z.object({
    activation: z.string(),
    in_dims: z.unknown().optional(),
    h_dims: z.unknown().optional(),
    selection: z.unknown().optional(),
    pre_bias: z.unknown().optional(),
    tied: z.unknown().optional(),
  }),
  image_shape: z.union([z.tuple([length, length]), z.tuple([length, length, z.literal(3)])]),
  training: z.record(z.string(), z.unknown()),
} as const;

/** Whether this program wrote a file with this configuration: it names all sizes. */
function isOurs(config: z.output<typeof descriptions.config> | undefined): boolean {
  return config?.in_dims !== undefined && config.h_dims !== undefined;
}

/** Whether a file that begins so was saved by this program. */
export function isOurModel(content: Uint8Array): boolean {
  try {
    const length = Number(new DataView(content.buffer, content.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(content.subarray(8, 8 + length)));
    return isOurs(descriptions.config.parse(JSON.parse(header.__metadata__.config)));
  } catch {
    return false;
  }
}

/**
 * Reads a file of `encodeModel`, or one with the same tensors from another program: sizes come from the tensors, and
 * prefixes of PyTorch's wrappers are removed from their names.
 * @param source the file's name in messages.
 * @throws ModelFileError with what was wrong and what was expected.
 */
export function decodeModel(bytes: Uint8Array, source: string, options?: ReadOptions): SavedModel {
  if (!(bytes instanceof Uint8Array)) {
    throw new ModelFileError(
      `${source} must be a Uint8Array, such as new Uint8Array(await file.arrayBuffer()).`,
    );
  }
  return modelIn(decodeSafetensors(bytes, source), source, options);
}

/** As `decodeModel`, without holding the file in memory besides the model. */
export async function readModel(
  file: ByteSource,
  source: string,
  options?: ReadOptions,
): Promise<SavedModel> {
  return modelIn(await readSafetensors(file, source), source, options);
}

/** The model of a file's tensors and metadata. @throws ModelFileError. */
export function modelIn(
  { tensors, metadata }: Safetensors,
  source: string,
  options: ReadOptions = {},
): SavedModel {
  const fail = (sentence: string): never => {
    throw new ModelFileError(`${source} is not a model that can be read: ${sentence}`);
  };
  const passed_over: string[] = [];
  const described = <T>(key: string, parse: (value: unknown) => T, ours: boolean): T | undefined => {
    const text = metadata.get(key);
    if (text === undefined) {
      return undefined;
    }
    try {
      return parse(JSON.parse(text));
    } catch (error) {
      if (ours && error instanceof ModelFileError) {
        throw error;
      }
      if (ours) {
        fail(`its metadata field ${key} is invalid: ${text.slice(0, 80)}.`);
      }
      passed_over.push(key);
      return undefined;
    }
  };

  const own = described('config', descriptions.config.parse, false);
  // In a file of ours an invalid field means damage; in another program's the name may mean something else.
  const ours = isOurs(own);
  const { own: arrays, others } = ours ? partTensors(tensors) : { own: new Map(), others: tensors };
  const parameters = withoutPrefix(others);
  const activation =
    own === undefined
      ? (options.activation ?? 'relu')
      : (activations.find((name) => name === own.activation) ??
        fail(`its activation is ${own.activation}, and ${activations.join(' or ')} was expected.`));
  const { selection, pre_bias, tied } = own ?? {};
  const config = sizesOf(parameters, { activation, selection, pre_bias, tied }, fail);
  for (const name of ['in_dims', 'h_dims'] as const) {
    const [says, is] = [own?.[name], config[name]].map((value) => JSON.stringify(value));
    if (says !== undefined && says !== is) {
      fail(`its metadata field config has ${name} ${says.slice(0, 80)}, and its tensors have ${is}.`);
    }
  }
  for (const { name, shape } of layersOf(config).flatMap(parametersOf)) {
    const found = parameters.get(name);
    if (found?.shape.join() !== shape.join()) {
      const is = found ? `is [${found.shape.join(', ')}]` : 'is missing';
      fail(`the tensor ${name} ${is}, and [${shape.join(', ')}] was expected.`);
    }
  }
  const expected = layersOf(config).flatMap(parametersOf).length;
  if (parameters.size !== expected) {
    fail(`it has ${parameters.size} tensors, and an autoencoder of its sizes has ${expected}.`);
  }
  if (isUntied(config, parameters)) {
    fail('its weights are tied, and decoder.0.weight is not the transpose of encoder.0.weight.');
  }
  const normalizationOf = (value: unknown) => readNormalization(value, arrays, config.in_dims, fail);
  const normalization = described('normalization', normalizationOf, ours);
  if (!normalization && arrays.size > 0) {
    fail('it has tensors of a normalization, and no metadata field normalization.');
  }
  const shapeOfInput = (value: unknown) => {
    const shape = descriptions.image_shape.parse(value);
    return isShape(shape, config.in_dims)
      ? shape
      : fail(`its image_shape is [${shape}], and its input has ${config.in_dims} values.`);
  };
  const image_shape = described('image_shape', shapeOfInput, ours);
  const training = described('training', (value) => trainingOf(value, config, passed_over), false);
  return {
    config,
    parameters,
    ...(normalization && { normalization }),
    ...(image_shape && { image_shape }),
    ...(training && { training }),
    ...(passed_over.length > 0 && { passed_over }),
  };
}

/** A choice with a single value is no option, and not in files. */
function isKnown(name: string): boolean {
  return trainOptions.some((option) => option.name === name);
}

/** How a model was trained, without options that this version does not know. */
function trainingOf(value: unknown, model: ModelConfig, passed_over: string[]): TrainConfig<SparsityName> {
  const known = Object.entries(descriptions.training.parse(value)).filter(([name]) => {
    const knows = name === 'sparsity' || isKnown(name);
    if (!knows) {
      passed_over.push(`training ${name}`);
    }
    return knows;
  });
  return parseTrainConfig(Object.fromEntries(known) as TrainOptions<SparsityName>, model);
}

/** What PyTorch's wrappers put before every name: DataParallel and DistributedDataParallel; torch.compile. */
const prefixes = ['module.', '_orig_mod.'];

function withoutPrefix(tensors: Parameters): Parameters {
  const prefix = prefixes.find((start) => [...tensors.keys()].every((name) => name.startsWith(start)));
  return prefix === undefined || tensors.size === 0
    ? tensors
    : withoutPrefix(new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor])));
}

function sizesOf(
  tensors: Parameters,
  described: {
    readonly activation: ModelConfig['activation'];
    readonly selection: unknown;
    readonly pre_bias: unknown;
    readonly tied: unknown;
  },
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
    const names = [...tensors.keys()];
    const some = names.length > 8 ? `${names.slice(0, 8).join(', ')} and others` : names.join(', ');
    fail(`it has no tensor encoder.0.weight${some && `; there are ${some}`}.`);
  }
  try {
    const given = Object.entries(described).filter(([, value]) => value !== undefined);
    return parseModelConfig({ ...Object.fromEntries(given), in_dims, h_dims });
  } catch (error) {
    return fail(error instanceof ConfigError ? error.message : String(error));
  }
}
