import type { ModelConfig, TrainConfig } from '../config.js';
import type { SparsityName } from '../sparsity/index.js';
import { layersOf, parametersOf } from './layers.js';
import type { Parameter } from './parameter.js';
import { fillUniform, randomPair } from './random.js';
import { transposed } from './transposed.js';

/** What says how a new model begins. */
export type Start = Pick<TrainConfig<SparsityName>, 'seed' | 'encoder_init' | 'decoder_norm'> & {
  /** The output's bias, [in_dims], if it is not as the others. */
  readonly output_bias?: Float32Array<ArrayBuffer> | undefined;
};

/** A new model's parameters, each asked for once, in the order of its layers. */
export type InitialValues = (parameter: Parameter) => Float32Array<ArrayBuffer>;

/**
 * The values with which a model begins. Weights that are drawn, and biases with `encoder_init` random, are uniform in
 * ±1/sqrt(inputs), as PyTorch's `nn.Linear` initialises them. With `decoder_transpose` each encoder layer is the
 * transpose of the decoder layer that mirrors it, and all biases are 0. With `decoder_norm` unit, the weights of each
 * latent in the first decoder layer have norm 1 before that. Tied weights are drawn once: random, as those of the encoder.
 */
export function initialValues(
  config: ModelConfig,
  { seed, encoder_init, decoder_norm, output_bias }: Start,
): InitialValues {
  const { forWeights } = randomPair(seed);
  const draw: InitialValues = ({ name, shape, bound }) => {
    const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
    if (bound > 0) {
      fillUniform(values, bound, forWeights);
    }
    if (decoder_norm === 'unit' && name === 'decoder.0.weight') {
      normalizeColumns(values, shape[1]);
    }
    return values;
  };
  const layers = layersOf(config);
  const [, { name: outputBias }] = parametersOf(layers[layers.length - 1]);
  const random = encoder_init === 'random';
  const weights = layers.map((layer) => parametersOf(layer)[0]);
  const mirrors = new Map(
    weights.slice(0, layers.length / 2).map(({ name }, i) => [name, weights[layers.length - 1 - i]]),
  );
  const drawn = new Map<string, Float32Array<ArrayBuffer>>();
  return (parameter) => {
    const { name, shape, bound } = parameter;
    if (name === outputBias && output_bias) {
      return output_bias;
    }
    const mirror = random && !config.tied ? undefined : mirrors.get(name);
    if (mirror) {
      const weight = draw(random ? { ...mirror, bound } : mirror);
      drawn.set(mirror.name, weight);
      return transposed(weight, mirror.shape[0]);
    }
    return drawn.get(name) ?? (random ? draw(parameter) : new Float32Array(shape[0]));
  };
}

/** Scales each column of a matrix [rows, columns] to norm 1. */
function normalizeColumns(matrix: Float32Array, columns: number): void {
  const squares = new Float64Array(columns);
  for (let i = 0; i < matrix.length; i++) {
    squares[i % columns] += matrix[i] ** 2;
  }
  // A column of zeros stays.
  const norms = squares.map((sum) => Math.sqrt(sum) || 1);
  for (let i = 0; i < matrix.length; i++) {
    matrix[i] /= norms[i % columns];
  }
}
