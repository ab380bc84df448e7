import type { Gpu } from '../gpu/gpu.js';
import { Tensor, tensorBytes } from '../gpu/tensor.js';
import { type ModelConfig, type ModelOptions, parseModelConfig } from './config.js';
import { type Dataset, normalizedRows, sliceRows } from './dataset.js';
import { DataError } from './errors.js';
import { type Layer, layersOf, parameterShapes } from './layers.js';
import { Pass } from './pass.js';
import { fillUniform, randomPair } from './random.js';

/** Tensors by their names in the original's `state_dict`, row-major, without padding. */
export type Parameters = Map<
  string,
  { readonly shape: readonly number[]; readonly data: Float32Array<ArrayBuffer> }
>;

/** A layer with its parameters on the device: weight [outputs, inputs], bias [outputs]. */
export interface ModelLayer extends Layer {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** Rows that go through the layers at a time when a model is only used, not trained. */
const rowsAtATime = 1024;

/** One autoencoder: its sizes, and its parameters on a device. */
export class Model {
  private constructor(
    readonly gpu: Gpu,
    readonly config: ModelConfig,
    readonly layers: readonly ModelLayer[],
  ) {}

  /**
   * A new model, with weights and biases uniform in +-1/sqrt(inputs), as PyTorch's `nn.Linear` makes them.
   * @throws ConfigError, LimitError (before anything is allocated), OutOfMemoryError.
   */
  static async create(gpu: Gpu, config: ModelOptions, seed = 42): Promise<Model> {
    const model = await Model.#allocate(gpu, parseModelConfig(config));
    const { forWeights } = randomPair(seed);
    for (const layer of model.layers) {
      for (const tensor of [layer.weight, layer.bias]) {
        const values = new Float32Array(tensor.rows * tensor.columns);
        fillUniform(values, layer.inputs ** -0.5, forWeights);
        tensor.write(values);
      }
    }
    return model;
  }

  /**
   * A model with given parameters, such as those of a saved one.
   * @throws LimitError (before anything is allocated), OutOfMemoryError; RangeError where parameters do not fit `config`.
   */
  static async from(gpu: Gpu, config: ModelConfig, parameters: Parameters): Promise<Model> {
    const model = await Model.#allocate(gpu, config);
    for (const tensor of model.#tensors()) {
      const values = parameters.get(tensor.name)?.data;
      if (values?.length !== tensor.rows * tensor.columns) {
        throw new RangeError(`no values of shape [${tensor.shape}] for ${tensor.name}`);
      }
      tensor.write(values);
    }
    return model;
  }

  static async #allocate(gpu: Gpu, config: ModelConfig): Promise<Model> {
    const layers = layersOf(config);
    for (const [name, shape] of layers.flatMap(parameterShapes)) {
      gpu.checkSize(`The model's ${name} [${shape.join(', ')}]`, tensorBytes(shape));
    }
    const made: Tensor[] = [];
    try {
      const withTensors = await gpu.allocate(`a model of ${sizeSentence(config)}`, () =>
        layers.map((layer) => {
          const [weight, bias] = parameterShapes(layer).map(([name, shape]) => {
            const tensor = new Tensor(gpu, name, shape);
            made.push(tensor);
            return tensor;
          });
          return { ...layer, weight, bias };
        }),
      );
      return new Model(gpu, config, withTensors);
    } catch (error) {
      for (const tensor of made) {
        tensor.destroy();
      }
      throw error;
    }
  }

  get encoder(): readonly ModelLayer[] {
    return this.layers.filter((layer) => layer.part === 'encoder');
  }

  get decoder(): readonly ModelLayer[] {
    return this.layers.filter((layer) => layer.part === 'decoder');
  }

  /** Width of the last encoder layer. */
  get hidden(): number {
    return this.config.h_dims[this.config.h_dims.length - 1];
  }

  /** Number of weights and biases. */
  get parameterCount(): number {
    return this.#tensors().reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  }

  /** Reads all parameters back to the host, as they are between two submits. @throws DeviceLostError. */
  parameters(): Promise<Parameters> {
    return readParameters(this.#tensors());
  }

  /** The last encoder layer's activations, [rows, hidden]. @throws DataError where the rows have another width. */
  async encode(dataset: Dataset): Promise<Float32Array<ArrayBuffer>> {
    this.checkWidth(dataset);
    return this.#run(this.encoder, inputsOf(dataset), dataset.rows);
  }

  /**
   * Reconstructions of codes [rows, hidden], in the model's normalised units: [rows, in_dims].
   * @throws DataError where there are no codes, or their number is no multiple of hidden.
   */
  async decode(codes: Float32Array): Promise<Float32Array<ArrayBuffer>> {
    const { hidden } = this;
    if (codes.length === 0 || codes.length % hidden !== 0) {
      throw new DataError(`Codes must be rows of ${hidden} values; ${codes.length} values are not.`);
    }
    const block = (first: number, end: number) => codes.slice(first * hidden, end * hidden);
    return this.#run(this.decoder, block, codes.length / hidden);
  }

  /** Reconstructions in the model's normalised units, [rows, in_dims]. @throws DataError as `encode`. */
  async reconstruct(dataset: Dataset): Promise<Float32Array<ArrayBuffer>> {
    this.checkWidth(dataset);
    return this.#run(this.layers, inputsOf(dataset), dataset.rows);
  }

  /** @throws DataError where the rows are not as wide as the model's input. */
  checkWidth(dataset: Dataset): void {
    if (dataset.in_dims !== this.config.in_dims) {
      throw new DataError(
        `The rows of ${dataset.name} have ${dataset.in_dims} values, and the model takes ${this.config.in_dims}.`,
      );
    }
  }

  /** Frees the parameters on the device. */
  close(): void {
    for (const tensor of this.#tensors()) {
      tensor.destroy();
    }
  }

  #tensors(): Tensor[] {
    return this.layers.flatMap(({ weight, bias }) => [weight, bias]);
  }

  /** Sends rows through some layers, a block at a time. `block` gives the normalised rows of a range. */
  async #run(
    layers: readonly ModelLayer[],
    block: (first: number, end: number) => Float32Array<ArrayBuffer>,
    rows: number,
  ): Promise<Float32Array<ArrayBuffer>> {
    const width = layers[layers.length - 1].outputs;
    const result = new Float32Array(rows * width);
    const pass = await Pass.create(layers, Math.min(rows, rowsAtATime));
    try {
      let at = 0;
      for await (const values of pass.blocks(rows, block)) {
        result.set(values, at);
        at += values.length;
      }
    } finally {
      pass.destroy();
    }
    return result;
  }
}

/** Reads tensors at one moment: every copy is submitted before the first is waited for. */
export async function readParameters(tensors: readonly Tensor[]): Promise<Parameters> {
  const read = tensors.map(async (tensor) => {
    return [tensor.name, { shape: tensor.shape, data: await tensor.read() }] as const;
  });
  return new Map(await Promise.all(read));
}

function inputsOf(dataset: Dataset) {
  return (first: number, end: number) => normalizedRows(sliceRows(dataset, first, end));
}

function sizeSentence({ in_dims, h_dims }: ModelConfig): string {
  return [in_dims, ...h_dims, ...h_dims.slice(0, -1).reverse(), in_dims].join('-');
}
