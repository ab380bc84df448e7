import { type ActivationName, activationBackward, biasActivation, isActive } from './activation.js';
import { columnMeans, columnSums } from './column-means.js';
import { gemmNN, gemmNT, gemmTN } from './gemm.js';
import { klSparsity } from './kl.js';
import { mse, mseGradient } from './mse.js';

export interface ReferenceConfig {
  readonly in_dims: number;
  /** Width of each encoder layer; the decoder mirrors them. */
  readonly h_dims: readonly number[];
  readonly activation: 'relu' | 'sigmoid';
  readonly sparsity_lambda: number;
  readonly sparsity_target: number;
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
  /** mse + penalty. */
  readonly loss: number;
  readonly mse: number;
  /** The divergence: unweighted, 0 when the target is met. */
  readonly kl: number;
  /** sparsity_lambda * (kl + the target's entropy for each unit). */
  readonly penalty: number;
  /** Active hidden units a row, on average. */
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
  return parameters;
}

/**
 * The model's activations for rows x [rows, in_dims]: `hidden` [rows, last of h_dims], `output`
 * [rows, in_dims], and what every layer gave, in the order of `layersOf`.
 */
export function forward(
  config: ReferenceConfig,
  parameters: ParameterSet,
  x: Float64Array,
): { hidden: Float64Array; output: Float64Array; outputs: Float64Array[] } {
  const rows = x.length / config.in_dims;
  const outputs: Float64Array[] = [];
  let input = x;
  for (const layer of layersOf(config)) {
    const weight = parameters[`${layer.name}.weight`].data;
    const bias = parameters[`${layer.name}.bias`].data;
    const product = gemmNT(input, weight, rows, layer.outputs, layer.inputs);
    input = biasActivation(product, bias, rows, layer.outputs, layer.activation);
    outputs.push(input);
  }
  return { hidden: outputs[config.h_dims.length - 1], output: input, outputs };
}

/** The losses of rows x [rows, in_dims]. */
export function losses(config: ReferenceConfig, parameters: ParameterSet, x: Float64Array): Losses {
  const { hidden, output } = forward(config, parameters, x);
  return lossesOf(config, x, hidden, output);
}

/** One pass forward and back over rows x [rows, in_dims]: `grads` holds d loss / d parameter by name. */
export function gradients(
  config: ReferenceConfig,
  parameters: ParameterSet,
  x: Float64Array,
): { losses: Losses; hidden: Float64Array; output: Float64Array; grads: Record<string, Float64Array> } {
  const rows = x.length / config.in_dims;
  const { hidden, output, outputs } = forward(config, parameters, x);
  const layers = layersOf(config);
  const grads: Record<string, Float64Array> = {};
  let gradient = mseGradient(output, x);
  for (let i = layers.length - 1; i >= 0; i--) {
    const layer = layers[i];
    if (outputs[i] === hidden) addPenaltyGradient(config, hidden, gradient);
    gradient = activationBackward(gradient, outputs[i], layer.activation);
    const input = i === 0 ? x : outputs[i - 1];
    grads[`${layer.name}.weight`] = gemmTN(gradient, input, layer.outputs, layer.inputs, rows);
    grads[`${layer.name}.bias`] = columnSums(gradient, rows, layer.outputs);
    if (i > 0) {
      const weight = parameters[`${layer.name}.weight`].data;
      gradient = gemmNN(gradient, weight, rows, layer.inputs, layer.outputs);
    }
  }
  return { losses: lossesOf(config, x, hidden, output), hidden, output, grads };
}

function lossesOf(
  config: ReferenceConfig,
  x: Float64Array,
  hidden: Float64Array,
  output: Float64Array,
): Losses {
  const rows = x.length / config.in_dims;
  const units = hidden.length / rows;
  const sparsity = klSparsity(columnMeans(hidden, rows, units), config.sparsity_target);
  const penalty = config.sparsity_lambda * sparsity.cross_entropy;
  const error = mse(output, x);
  let active = 0;
  for (const value of hidden) if (isActive(config.activation, value)) active++;
  return { loss: error + penalty, mse: error, kl: sparsity.kl, penalty, active: active / rows };
}

/** Adds d penalty / d hidden to `gradient` [rows, units], in place: the same in every row of a column. */
function addPenaltyGradient(config: ReferenceConfig, hidden: Float64Array, gradient: Float64Array): void {
  const units = config.h_dims[config.h_dims.length - 1];
  const rows = hidden.length / units;
  const { slope } = klSparsity(columnMeans(hidden, rows, units), config.sparsity_target);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < units; j++) {
      gradient[i * units + j] += (config.sparsity_lambda * slope[j]) / rows;
    }
  }
}
