import { ClosedError } from '../../gpu/errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import { Scope } from '../../gpu/scope.js';
import { Tensor, tensorBytes } from '../../gpu/tensor.js';
import {
  checkStart,
  type ModelConfig,
  type ModelOptions,
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
  trainedConfig,
} from '../config.js';
import { ConfigError, DataError } from '../errors.js';
import { checkRows, checkValues } from '../rows/check.js';
import { type Dataset, noNormalization, normalizedRows, sliceRows } from '../rows/dataset.js';
import { type RowSource, rowSource } from '../rows/source.js';
import { type Selection, type SparsityName, sparsityOf } from '../sparsity/index.js';
import { ForwardPass, rowsAtATime } from './forward-pass.js';
import { type InitialValues, initialValues, type Start } from './initial.js';
import {
  layersOf,
  type ModelLayer,
  modelLayersOf,
  parametersOf,
  type Rescaling,
  sizesInWords,
  thresholdOf,
} from './layers.js';
import { checkParameters, type Parameters, readParameters } from './parameter.js';
import { initialPreBias } from './pre-bias.js';
import { checkTied } from './tied.js';
import { transposed } from './transposed.js';

/** An autoencoder: its sizes, and its parameters on a device. */
export class Model {
  #closed = false;
  #config: ModelConfig;
  #layers: readonly ModelLayer[];
  #byLatents = false;

  private constructor(
    readonly gpu: Gpu,
    config: ModelConfig,
    layers: readonly ModelLayer[],
    readonly scope: Scope,
  ) {
    this.#config = config;
    this.#layers = layers;
  }

  /**
   * A new model.
   * @param training how it will be trained: `sparsity` has a default for `pre_bias`, and `seed`, `encoder_init`, `pre_bias_init` and `decoder_norm` say how it begins.
   *   A number is a seed; all weights and biases are then uniform in ±1/sqrt(inputs), as PyTorch's `nn.Linear` initialises
   *   them.
   * @param rows those that it will be trained on, for a `pre_bias_init` of mean, which is the default if they are given,
   *   or median.
   * @throws ConfigError, DataError, LimitError (before anything is allocated), OutOfMemoryError.
   */
  static async create<S extends SparsityName = 'kl'>(
    gpu: Gpu,
    options: ModelOptions,
    training: number | TrainOptions<S> = 42,
    rows?: Dataset | RowSource,
  ): Promise<Model> {
    const trained =
      typeof training === 'number' ? undefined : parseTrainConfig(training as TrainOptions<SparsityName>);
    const config = parseModelConfig(options, trained?.sparsity);
    const start: Start = trained
      ? await startOf(config, trained, rows)
      : { seed: training as number, encoder_init: 'random', decoder_norm: 'none' };
    return Model.#make(gpu, config, initialValues(config, start));
  }

  /**
   * A model with given parameters, such as those of a saved one.
   * @throws ConfigError, DataError if parameters do not fit the sizes or are not finite, LimitError (all before
   *   anything is allocated), OutOfMemoryError.
   */
  static async from(gpu: Gpu, sizes: ModelConfig, parameters: Parameters): Promise<Model> {
    const config = parseModelConfig(sizes);
    checkParameters(parameters, layersOf(config).flatMap(parametersOf));
    checkTied(config, parameters);
    return Model.#make(gpu, config, ({ name }) => parameters.get(name)!.data);
  }

  static #make(gpu: Gpu, config: ModelConfig, values: InitialValues): Promise<Model> {
    const layers = layersOf(config);
    const parameters = layers.flatMap(parametersOf);
    for (const { name, shape } of parameters) {
      gpu.checkSize(`The model's ${name} [${shape.join(', ')}]`, tensorBytes(shape));
    }
    return Scope.building(async (scope) => {
      const model = await gpu.allocate(`a model of ${sizesInWords(config)}`, () => {
        let threshold: Tensor | undefined;
        const tensors = layers.map((layer) => {
          const [weight, bias, third] = parametersOf(layer).map(({ name, shape }) =>
            scope.use(new Tensor(gpu, name, shape)),
          );
          threshold ??= third;
          return [weight, bias] as const;
        });
        const norms = normsOf(gpu, config, scope);
        return new Model(gpu, config, modelLayersOf(config, tensors, threshold, false, norms), scope);
      });
      // The host may lack memory even though the device has it.
      for (const [i, tensor] of model.tensors.entries()) {
        tensor.write(values(parameters[i]));
      }
      return model;
    });
  }

  get config(): ModelConfig {
    return this.#config;
  }

  /** Encoder layers, then decoder layers. */
  get layers(): readonly ModelLayer[] {
    return this.#layers;
  }

  /**
   * Which latents of a row stay in its code from now on; undefined: all. What was recorded of the model before, such as a
   * probe, goes on as it was. Thresholds that the model does not have yet are 0.
   * @throws ConfigError if there are not so many latents, or the activation is not ReLU.
   */
  select(selection: Selection | undefined): void {
    const { selection: _, ...sizes } = this.#config;
    this.#become(parseModelConfig(selection ? { ...sizes, selection } : sizes), 0);
  }

  /** Selects latents as a model that is trained so does: training calls this when it begins. @throws as `select`. */
  selectFor(config: TrainConfig<SparsityName>): void {
    const { threshold } = sparsityOf(config.sparsity);
    this.#become(trainedConfig(this.#config, config), threshold?.(config) ?? 0);
  }

  /** @param initial the value of thresholds that the model does not have yet. */
  #become(config: ModelConfig, initial: number): void {
    const wanted = layersOf(config)
      .map(thresholdOf)
      .find((threshold) => threshold !== undefined);
    let threshold = this.threshold;
    if (wanted && threshold?.shape.join() !== wanted.shape.join()) {
      threshold = this.scope.use(new Tensor(this.gpu, wanted.name, wanted.shape));
      threshold.write(new Float32Array(wanted.shape[0]).fill(initial));
    }
    const { norms = normsOf(this.gpu, config, this.scope) } = this.rescaling ?? {};
    this.#config = config;
    this.#layers = modelLayersOf(
      config,
      this.#layers.map(({ weight, bias }) => [weight, bias]),
      threshold,
      this.#byLatents,
      config.selection?.rescale_acts_by_decoder_norm && norms,
    );
  }

  /**
   * How the weights of the first decoder layer lie on the device: as in PyTorch, [outputs, latents], as a new model has
   * them, or [latents, outputs], so that a latent's own lie side by side. Training says so when it begins. What was recorded of the
   * model with them in the other order ends with a ClosedError. Files and `parameters` have PyTorch's order.
   * @throws OutOfMemoryError, ClosedError.
   */
  async storeDecoder(order: 'by outputs' | 'by latents'): Promise<void> {
    const byLatents = order === 'by latents';
    if (byLatents === this.#byLatents) {
      return;
    }
    const { gpu, scope } = this;
    const { weight: before } = this.decoder[0];
    const values = transposed(await before.read(), before.rows);
    this.checkOpen();
    const { name, rows, columns } = before;
    const after = await gpu.allocate(`the model's ${name}`, () =>
      scope.use(new Tensor(gpu, name, [columns, rows])),
    );
    after.write(values);
    before.destroy();
    this.#byLatents = byLatents;
    this.#layers = modelLayersOf(
      this.#config,
      this.#layers.map(({ weight, bias }) => [weight === before ? after : weight, bias]),
      this.threshold,
      byLatents,
      this.rescaling?.norms,
    );
  }

  /** The layers from the input to the code. */
  get encoder(): readonly ModelLayer[] {
    return this.layers.filter((layer) => layer.part === 'encoder');
  }

  /** The layers from the code to the output. */
  get decoder(): readonly ModelLayer[] {
    return this.layers.filter((layer) => layer.part === 'decoder');
  }

  /** Number of latents: the width of the last encoder layer. */
  get hidden(): number {
    return this.config.h_dims[this.config.h_dims.length - 1];
  }

  /** Number of weights, biases and thresholds; tied weights count once. */
  get parameterCount(): number {
    return this.trained.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  }

  /** Reads all parameters to the host, as they are between two submits. @throws ClosedError, DeviceLostError. */
  async parameters(): Promise<Parameters> {
    this.checkOpen();
    const parameters = await readParameters(this.tensors);
    if (this.#byLatents) {
      const [{ name, outputs, inputs }] = this.decoder;
      const weight = parameters.get(`${name}.weight`)!;
      const data = transposed(weight.data, inputs);
      parameters.set(`${name}.weight`, { shape: [outputs, inputs], data });
    }
    return parameters;
  }

  /**
   * Codes of rows: the latents' activations, [rows, hidden].
   * @throws DataError if the rows are invalid or have the wrong width; ClosedError.
   */
  async encode(dataset: Dataset): Promise<Float32Array<ArrayBuffer>> {
    checkRows(dataset);
    this.checkWidth(dataset);
    return this.#run(this.encoder, inputsOf(dataset), dataset.rows);
  }

  /**
   * Reconstructions of codes [rows, hidden], in the model's normalised units: [rows, in_dims].
   * @throws DataError if there are no codes, one is not finite, or their number is not a multiple of hidden;
   *   ClosedError.
   */
  async decode(codes: Float32Array): Promise<Float32Array<ArrayBuffer>> {
    const { hidden } = this;
    if (!(codes instanceof Float32Array)) {
      throw new DataError('Codes must be a Float32Array. Float32Array.from(codes, Number) makes one.');
    }
    if (codes.length === 0 || codes.length % hidden !== 0) {
      throw new DataError(`Codes must be rows of ${hidden} values; ${codes.length} values are not.`);
    }
    const rows = { name: 'The array of codes', in_dims: hidden, normalization: noNormalization };
    const block = (first: number, end: number) => {
      const values = codes.slice(first * hidden, end * hidden);
      checkValues(values, rows, first);
      return values;
    };
    return this.#run(this.decoder, block, codes.length / hidden);
  }

  /** Reconstructions in the model's normalised units, [rows, in_dims]. @throws DataError as `encode`. */
  async reconstruct(dataset: Dataset): Promise<Float32Array<ArrayBuffer>> {
    checkRows(dataset);
    this.checkWidth(dataset);
    return this.#run(this.layers, inputsOf(dataset), dataset.rows);
  }

  /** @throws DataError if the rows are invalid, or not as wide as the model's input. */
  checkWidth(dataset: Dataset | RowSource | Pick<Dataset, 'name' | 'in_dims'>): void {
    if ('data' in dataset || 'read' in dataset) {
      checkRows(dataset);
    }
    checkSameWidth(dataset, this.config);
  }

  /** Frees the parameters on the device. Work that uses them ends with a ClosedError. */
  close(): void {
    this.#closed = true;
    this.scope.destroy();
  }

  /** @throws ClosedError. */
  checkOpen(): void {
    if (this.#closed) {
      throw new ClosedError(
        'The model was closed, and its weights are gone. Close it only when nothing uses it.',
      );
    }
  }

  /**
   * The parameters on the device, by layers: weight, bias and, if there is one, threshold. Of a weight `byLatents` the shape is
   * [inputs, outputs].
   */
  get tensors(): Tensor[] {
    return this.layers.flatMap(({ weight, bias, threshold }) =>
      threshold ? [weight, bias, threshold] : [weight, bias],
    );
  }

  /**
   * Those that an update rule changes. A threshold that all latents share follows a running mean; of tied weights, the
   * encoder's follow the decoder's.
   */
  get trained(): Tensor[] {
    const { selection, tied } = this.config;
    const shared = selection && 'threshold' in selection && selection.threshold === 'shared';
    const others = [shared && this.threshold, tied && this.layers[0].weight];
    return this.tensors.filter((tensor) => !others.includes(tensor));
  }

  /** Above which latents stay: one for each, or one for all; undefined if they are not selected so. */
  get threshold(): Tensor | undefined {
    return this.encoder[this.encoder.length - 1].threshold;
  }

  /** The norms by which latents are multiplied before they are selected, if they are. */
  get rescaling(): Rescaling | undefined {
    return this.decoder[0].rescaling;
  }

  /** Sends rows through some layers, block by block. `block` returns the normalised rows of a range. */
  async #run(
    layers: readonly ModelLayer[],
    block: (first: number, end: number) => Float32Array<ArrayBuffer>,
    rows: number,
  ): Promise<Float32Array<ArrayBuffer>> {
    this.checkOpen();
    const width = layers[layers.length - 1].outputs;
    const result = new Float32Array(rows * width);
    return Scope.during(async (scope) => {
      const pass = scope.use(await ForwardPass.create(layers, rowsAtATime(layers, rows)));
      let at = 0;
      const next = (first: number, end: number) => {
        this.checkOpen();
        return block(first, end);
      };
      for await (const values of pass.blocks(rows, next)) {
        result.set(values, at);
        at += values.length;
      }
      return result;
    });
  }
}

/** Room for the norms of decoder directions, if latents are selected by them. */
function normsOf(gpu: Gpu, { h_dims, selection }: ModelConfig, scope: Scope): Tensor | undefined {
  return selection?.rescale_acts_by_decoder_norm
    ? scope.use(new Tensor(gpu, 'decoder_norms', [h_dims[h_dims.length - 1]]))
    : undefined;
}

/** @throws DataError if rows are not as wide as a model's input. */
function checkSameWidth({ name, in_dims }: Pick<Dataset, 'name' | 'in_dims'>, config: ModelConfig): void {
  if (in_dims !== config.in_dims) {
    throw new DataError(`The rows of ${name} have ${in_dims} values, and the model takes ${config.in_dims}.`);
  }
}

/** @throws ConfigError if the model cannot begin so; DataError for rows that are invalid or of another width. */
async function startOf(
  config: ModelConfig,
  training: TrainConfig<SparsityName>,
  rows: Dataset | RowSource | undefined,
): Promise<Start> {
  checkStart(config, training);
  const { seed, pre_bias_init = rows ? 'mean' : 'zero' } = training;
  if (!config.pre_bias) {
    return training;
  }
  if (pre_bias_init === 'zero') {
    return { ...training, output_bias: new Float32Array(config.in_dims) };
  }
  if (!rows) {
    throw new ConfigError(
      `pre_bias_init is ${pre_bias_init}, which is computed from rows, and there are none. Pass them to Model.create, or use zero.`,
    );
  }
  const source = rowSource(rows);
  checkSameWidth(source, config);
  return { ...training, output_bias: await initialPreBias(source, pre_bias_init, seed) };
}

function inputsOf(dataset: Dataset) {
  return (first: number, end: number) => normalizedRows(sliceRows(dataset, first, end), first);
}
