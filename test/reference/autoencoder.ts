import { type ActivationName, activationBackward, biasActivation, isActive } from './activation.js';
import { columnSums } from './column-means.js';
import { gemmNN, gemmNT, gemmTN } from './gemm.js';
import { jumprelu, jumpreluBackward } from './jumprelu.js';
import { mse, mseGradient } from './mse.js';
import { divisorOf, type MadeCode, type Penalty, type SparsityConfig } from './penalty.js';
import { penalties } from './sparsity.js';
import { batchTopk, topk } from './topk.js';

export interface ReferenceConfig extends SparsityConfig {
  readonly in_dims: number;
  /** Width of each encoder layer; the decoder mirrors them. */
  readonly h_dims: readonly number[];
  readonly activation: 'relu' | 'sigmoid';
  /** Whether the output's bias is subtracted from the input. */
  readonly pre_bias?: boolean | undefined;
  /** Whether the model selects as after training: where that differs, latents above the threshold. */
  readonly trained?: boolean;
  /** Whether encoder.0.weight is the transpose of decoder.0.weight, which then is what is trained. */
  readonly tied?: boolean | undefined;
}

/** Weights are [out, in], biases [out]. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** By their names in the original's state_dict: encoder.0.weight, encoder.0.bias, encoder.2.weight ... */
export type ParameterSet = Record<string, ReferenceTensor>;

/** What one batch of rows gives. */
export interface Losses {
  /** mse, or in_dims times it, + penalty. */
  readonly loss: number;
  readonly mse: number;
  /** What the kind of sparsity adds, unweighted: for `kl` the divergence, 0 when the target is met. */
  readonly terms: Readonly<Record<string, number>>;
  /** The weighted terms, with their constants. */
  readonly penalty: number;
  /** Active latents a row, on average. */
  readonly active: number;
}

export interface Layer {
  /** `encoder.0`, `encoder.2` ... `decoder.0` ... */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly activation: ActivationName;
}

/** Encoder and decoder in the order of a forward pass. */
export function layersOf({ in_dims, h_dims, activation }: ReferenceConfig): Layer[] {
  const sizes = [in_dims, ...h_dims];
  const encoder = h_dims.map(
    (outputs, i): Layer => ({ name: `encoder.${2 * i}`, inputs: sizes[i], outputs, activation }),
  );
  const decoder = encoder.toReversed().map(
    (mirrored, i): Layer => ({
      name: `decoder.${2 * i}`,
      inputs: mirrored.outputs,
      outputs: mirrored.inputs,
      activation: i === h_dims.length - 1 ? 'identity' : activation,
    }),
  );
  return [...encoder, ...decoder];
}

/** Parameters in double precision, copied from any source: a JSON file, what a GPU gave back. */
export function toParameterSet(
  source: Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>,
): ParameterSet {
  const entries = Object.entries(source).map(([name, { shape, data }]) => [
    name,
    { shape: [...shape], data: Float64Array.from(data) },
  ]);
  return Object.fromEntries(entries);
}

/**
 * PyTorch's default start of nn.Linear: weights and biases uniform in +-1/sqrt(inputs). `random` gives
 * numbers in [0, 1); each layer's weight is filled before its bias.
 */
export function randomParameters(config: ReferenceConfig, random: () => number): ParameterSet {
  const parameters: ParameterSet = {};
  for (const { name, inputs, outputs } of layersOf(config)) {
    const bound = 1 / Math.sqrt(inputs);
    const uniform = (length: number) =>
      Float64Array.from({ length }, () => Math.fround((2 * random() - 1) * bound));
    parameters[`${name}.weight`] = { shape: [outputs, inputs], data: uniform(outputs * inputs) };
    parameters[`${name}.bias`] = { shape: [outputs], data: uniform(outputs) };
  }
  const { sparsity = 'kl', h_dims } = config;
  const thresholds = { batchtopk: 1, matryoshka: 1, jumprelu: h_dims[h_dims.length - 1] }[sparsity];
  if (thresholds) {
    parameters[thresholdOf(config)] = { shape: [thresholds], data: new Float64Array(thresholds) };
  }
  if (config.tied) tie(parameters);
  return parameters;
}

/** Makes the encoder's weight the transpose of the decoder's. */
export function tie(parameters: ParameterSet): void {
  const { shape, data } = parameters['decoder.0.weight'];
  parameters['encoder.0.weight'].data.set(transposed(data, shape[0]));
}

/** A matrix [rows, columns] as [columns, rows]. */
function transposed(matrix: Float64Array, rows: number): Float64Array {
  const columns = matrix.length / rows;
  return matrix.map((_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]);
}

/**
 * The model's activations for rows x [rows, in_dims]: `hidden` [rows, last of h_dims], `output`
 * [rows, in_dims], what every layer gave, in the order of `layersOf`, and what the code was made of: `pre`, and `signed` before
 * the activation.
 */
export function forward(
  config: ReferenceConfig,
  parameters: ParameterSet,
  x: Float64Array,
): {
  hidden: Float64Array;
  output: Float64Array;
  outputs: Float64Array[];
  pre: Float64Array;
  signed: Float64Array;
} {
  const layers = layersOf(config);
  const encoder = layers.slice(0, config.h_dims.length);
  if (config.sparsity === 'jumprelu') {
    encoder.push({ ...encoder.pop()!, activation: 'identity' });
  }
  const input = encoderInput(config, parameters, x);
  const plain = [...encoder.slice(0, -1), { ...encoder.at(-1)!, activation: 'identity' as const }];
  const signed = through(plain, parameters, input).pop()!;
  const encoded = through(encoder, parameters, input);
  const pre = encoded.pop()!;
  const hidden = selected(config, parameters, pre, x.length / config.in_dims);
  const decoded = through(layers.slice(config.h_dims.length), parameters, hidden);
  const outputs = [...encoded, hidden, ...decoded];
  return { hidden, output: decoded[decoded.length - 1], outputs, pre, signed };
}

/** The norms of the columns of the first decoder layer's weight, [latents]; with the name of a model's option, or else 1. */
export function latentNorms(config: ReferenceConfig, { data }: ReferenceTensor): Float64Array {
  const latents = config.h_dims[config.h_dims.length - 1];
  if (!config.rescale_acts_by_decoder_norm) return new Float64Array(latents).fill(1);
  const squares = new Float64Array(latents);
  data.forEach((value, i) => {
    squares[i % latents] += value ** 2;
  });
  return squares.map((sum) => Math.max(Math.sqrt(sum), 1e-8));
}

/**
 * What stays of a code, or of the pre-activations of JumpReLU, [rows, latents]: the values as the decoder takes them, without norms by which
 * they were selected.
 */
function selected(
  config: ReferenceConfig,
  parameters: ParameterSet,
  code: Float64Array,
  rows: number,
): Float64Array {
  const { sparsity, k = 8, trained, rescale_acts_by_decoder_norm: rescaled } = config;
  if (rescaled) {
    const norms = latentNorms(config, parameters['decoder.0.weight']);
    const plain = { ...config, rescale_acts_by_decoder_norm: false };
    const scaled = code.map((value, i) => value * norms[i % norms.length]);
    return selected(plain, parameters, scaled, rows).map((value, i) => (value === 0 ? 0 : code[i]));
  }
  const thresholds = parameters[thresholdOf(config)]?.data;
  if (sparsity === 'topk') return topk(code, rows, k);
  if (sparsity === 'jumprelu') return jumprelu(code, thresholds);
  if (sparsity !== 'batchtopk' && sparsity !== 'matryoshka') return code;
  return trained
    ? code.map((value) => (value > Math.max(thresholds[0], 0) ? value : 0))
    : batchTopk(code, Math.floor(k * rows));
}

/** The name of the threshold of a model that has one. */
export function thresholdOf({ h_dims }: ReferenceConfig): string {
  return `encoder.${2 * (h_dims.length - 1)}.threshold`;
}

/** What the decoder makes of codes [rows, last of h_dims]: [rows, in_dims]. */
export function decode(config: ReferenceConfig, parameters: ParameterSet, codes: Float64Array): Float64Array {
  const decoder = layersOf(config).slice(config.h_dims.length);
  return through(decoder, parameters, codes)[decoder.length - 1];
}

/** What each latent draws: the decoder at 1 for it and 0 for all others, less the decoder at 0. [latents, in_dims]. */
export function drawings(config: ReferenceConfig, parameters: ParameterSet): Float64Array {
  const { in_dims, h_dims } = config;
  const latents = h_dims[h_dims.length - 1];
  const oneHot = new Float64Array(latents * latents);
  for (let latent = 0; latent < latents; latent++) oneHot[latent * latents + latent] = 1;
  const nothing = decode(config, parameters, new Float64Array(latents));
  return decode(config, parameters, oneHot).map((value, i) => value - nothing[i % in_dims]);
}

/** What each of some layers gives for rows x [rows, inputs of the first]. */
function through(layers: readonly Layer[], parameters: ParameterSet, x: Float64Array): Float64Array[] {
  const rows = x.length / layers[0].inputs;
  let input = x;
  return layers.map(({ name, inputs, outputs, activation }) => {
    const product = gemmNT(input, parameters[`${name}.weight`].data, rows, outputs, inputs);
    input = biasActivation(product, parameters[`${name}.bias`].data, rows, outputs, activation);
    return input;
  });
}

/** What the first layer takes for rows x [rows, in_dims]. */
function encoderInput(config: ReferenceConfig, parameters: ParameterSet, x: Float64Array): Float64Array {
  const { data } = parameters[outputBias(config)];
  return config.pre_bias ? x.map((value, i) => value - data[i % config.in_dims]) : x;
}

function outputBias({ h_dims }: ReferenceConfig): string {
  return `decoder.${2 * (h_dims.length - 1)}.bias`;
}

/** The losses of rows x [rows, in_dims]. */
export function losses(
  config: ReferenceConfig,
  parameters: ParameterSet,
  x: Float64Array,
  dead: readonly boolean[] = [],
): Losses {
  const { hidden, output, pre, signed } = forward(config, parameters, x);
  const made = madeOf(config, parameters, { pre, signed, dead, x, output });
  return lossesOf(config, x, hidden, output, penaltyOn(config, parameters, hidden, made));
}

/**
 * One pass forward and back over rows x [rows, in_dims]: `grads` holds d loss / d parameter by name. Tied weights have one, for
 * both uses, under the decoder's name.
 */
export function gradients(
  config: ReferenceConfig,
  parameters: ParameterSet,
  x: Float64Array,
  dead: readonly boolean[] = [],
): { losses: Losses; hidden: Float64Array; output: Float64Array; grads: Record<string, Float64Array> } {
  const rows = x.length / config.in_dims;
  const { hidden, output, outputs, pre, signed } = forward(config, parameters, x);
  const made = madeOf(config, parameters, { pre, signed, dead, x, output });
  const layers = layersOf(config);
  const penalty = penaltyOn(config, parameters, hidden, made);
  const grads: Record<string, Float64Array> = {};
  const scale = perMse(config, x);
  let gradient: Float64Array = mseGradient(output, x).map((value) => value * scale);
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i];
    if (outputs[i] === hidden) gradient = sum(gradient, penalty.code);
    if (outputs[i] === hidden && config.sparsity === 'jumprelu') {
      const back = jumpreluBackward(gradient, made, config.bandwidth!);
      gradient = sum(back.pre, penalty.pre!);
      grads[thresholdOf(config)] = sum(back.threshold, penalty.threshold!);
    } else {
      gradient = activationBackward(gradient, outputs[i], layer.activation);
      if (outputs[i] === hidden && penalty.pre) gradient = sum(gradient, penalty.pre);
    }
    const input = i === 0 ? encoderInput(config, parameters, x) : outputs[i - 1];
    grads[`${layer.name}.weight`] = gemmTN(gradient, input, layer.outputs, layer.inputs, rows);
    grads[`${layer.name}.bias`] = columnSums(gradient, rows, layer.outputs);
    if (i > 0 || config.pre_bias) {
      const weight = parameters[`${layer.name}.weight`].data;
      gradient = gemmNN(gradient, weight, rows, layer.inputs, layer.outputs);
    }
  }
  if (config.pre_bias) {
    const name = outputBias(config);
    const ofInput = columnSums(gradient, rows, config.in_dims);
    grads[name] = grads[name].map((value, i) => value - ofInput[i]);
  }
  if (penalty.bias) grads[outputBias(config)] = sum(grads[outputBias(config)], penalty.bias);
  if (penalty.decoder) grads['decoder.0.weight'] = sum(grads['decoder.0.weight'], penalty.decoder);
  if (config.tied) {
    const { 'encoder.0.weight': ofEncoder } = grads;
    grads['decoder.0.weight'] = sum(grads['decoder.0.weight'], transposed(ofEncoder, config.h_dims[0]));
    delete grads['encoder.0.weight'];
  }
  return { losses: lossesOf(config, x, hidden, output, penalty), hidden, output, grads };
}

function madeOf(
  config: ReferenceConfig,
  parameters: ParameterSet,
  made: Pick<MadeCode, 'pre' | 'signed' | 'dead' | 'x' | 'output'>,
): MadeCode {
  const { in_dims } = config;
  const thresholds = parameters[thresholdOf(config)]?.data;
  const norms = latentNorms(config, parameters['decoder.0.weight']);
  return { ...made, norms, thresholds, bias: parameters[outputBias(config)].data, in_dims };
}

function penaltyOn(
  config: ReferenceConfig,
  parameters: ParameterSet,
  hidden: Float64Array,
  made: MadeCode,
): Penalty {
  const rows = hidden.length / config.h_dims[config.h_dims.length - 1];
  const decoder = parameters['decoder.0.weight'].data;
  return penalties[config.sparsity ?? 'kl'](config, hidden, rows, decoder, made);
}

/** What the loss has of the mean squared error of rows x. */
function perMse({ reconstruction, in_dims }: ReferenceConfig, x: Float64Array): number {
  return in_dims / divisorOf(reconstruction, x, in_dims);
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]);
}

function lossesOf(
  config: ReferenceConfig,
  x: Float64Array,
  hidden: Float64Array,
  output: Float64Array,
  { value: penalty, terms }: Penalty,
): Losses {
  const rows = x.length / config.in_dims;
  const error = mse(output, x);
  let active = 0;
  for (const value of hidden) if (isActive(config.activation, value)) active++;
  return { loss: error * perMse(config, x) + penalty, mse: error, terms, penalty, active: active / rows };
}
