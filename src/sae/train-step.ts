import { addGemm } from '../gpu/gemm.js';
import type { Gpu } from '../gpu/gpu.js';
import { Pacer } from '../gpu/pacer.js';
import { Program } from '../gpu/program.js';
import { padded, Tensor, tensorBytes } from '../gpu/tensor.js';
import type { Dataset } from './dataset.js';
import { Examples } from './examples.js';
import { addLayers, columnGrid, elementwiseGrid, layerOutputs, matrixSizes, stridedGrid } from './forward.js';
import { parameterShapes } from './layers.js';
import type { Model } from './model.js';
import { batchesOf, stepBytes } from './schedule.js';

/** What each step left in its log entry: `struct StepMetrics` in `step_metrics.wgsl`. */
export interface StepLog {
  /** Steps that were run. */
  readonly steps: number;
  readonly mse: (step: number) => number;
  readonly kl: (step: number) => number;
  /** Active units summed over the batch's rows. */
  readonly active: (step: number) => number;
  readonly finite: (step: number) => boolean;
  /** Hidden units that were active in no row. */
  readonly dead: number;
}

const logBytes = 16;

/** Workgroups of `mse.wgsl`, each invocation of which sums up about 16 vec4s. */
function mseGroups(output: Tensor): number {
  const blocks = (padded(output.rows) * padded(output.columns)) / 4;
  return Math.min(256, Math.ceil(blocks / (64 * 16)));
}

/**
 * One batch's forward pass, loss and metrics, and, for training, its backward pass and Adam: a program that is
 * recorded once for a model and a data set and encodes the same commands for every step. It owns its examples,
 * activations, gradients and Adam's moments.
 */
export class TrainStep {
  readonly program: Program;
  readonly #pacer = new Pacer();
  readonly #tensors = new Map<string, Tensor>();
  readonly #buffers: GPUBuffer[] = [];
  #outputs: Tensor[] = [];
  #readback!: GPUBuffer;
  #order!: GPUBuffer;
  #steps!: GPUBuffer;
  #step!: GPUBuffer;
  #state!: GPUBuffer;
  #log!: GPUBuffer;
  #activeRows!: GPUBuffer;
  #everActive!: GPUBuffer;
  #examples!: Examples;

  private constructor(
    readonly model: Model,
    readonly dataset: Dataset,
    /** Rows a batch, at most all. */
    readonly batchRows: number,
    readonly update: boolean,
  ) {
    this.program = new Program(model.gpu);
  }

  /**
   * @param update false for a step that only measures.
   * @throws DataError for rows of another width, LimitError before anything is allocated, OutOfMemoryError.
   */
  static async create(
    model: Model,
    dataset: Dataset,
    batch_size: number,
    update: boolean,
  ): Promise<TrainStep> {
    model.checkWidth(dataset);
    const step = new TrainStep(model, dataset, Math.min(batch_size, dataset.rows), update);
    step.#checkSizes();
    try {
      step.#examples = await Examples.upload(model.gpu, dataset);
      const what = `training with batches of ${step.batchRows} rows`;
      await model.gpu.allocate(what, () => step.#allocate());
      await step.#addForward();
      if (update) {
        await step.#addBackward();
      }
      return step;
    } catch (error) {
      step.destroy();
      throw error;
    }
  }

  /** The tensor of that name, such as `decoder.0.output` or `encoder.0.weight.gradient`. */
  tensor(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) {
      throw new RangeError(`no tensor ${name}`);
    }
    return tensor;
  }

  /**
   * Runs one step a record.
   * @param order the rows in the order in which the steps take them.
   * @param records from `stepRecords`, for at most the data set's number of batches.
   * @param done is told how many steps have been done, whenever the device has finished some.
   */
  async run(
    order: Uint32Array<ArrayBuffer>,
    records: ArrayBuffer,
    signal?: AbortSignal,
    done?: (steps: number) => void,
  ): Promise<StepLog> {
    const { device } = this.model.gpu;
    device.queue.writeBuffer(this.#order, 0, order);
    device.queue.writeBuffer(this.#steps, 0, records);
    device.queue.writeBuffer(this.#state, 0, new Uint32Array([0]));
    device.queue.writeBuffer(this.#everActive, 0, new Uint32Array(this.#everActive.size / 4));
    const steps = await this.#pacer.run(this.program, records.byteLength / stepBytes, signal, done);
    return this.#readLog(steps);
  }

  destroy(): void {
    this.program.destroy();
    this.#examples?.destroy();
    for (const buffer of this.#buffers) {
      buffer.destroy();
    }
    for (const tensor of this.#tensors.values()) {
      tensor.destroy();
    }
  }

  #checkSizes(): void {
    const { gpu, layers, config } = this.model;
    for (const width of [config.in_dims, ...layers.map((layer) => layer.outputs)]) {
      const shape = [this.batchRows, width];
      gpu.checkSize(`A batch's layer [${shape.join(', ')}]`, tensorBytes(shape));
    }
  }

  #allocate(): void {
    const { model, batchRows } = this;
    const { gpu } = model;
    this.#outputs = layerOutputs(model.layers, batchRows);
    const tensors = [new Tensor(gpu, 'input', [batchRows, model.config.in_dims]), ...this.#outputs];
    tensors.push(new Tensor(gpu, 'means', [model.hidden]));
    const output = this.#outputs[model.layers.length - 1];
    tensors.push(new Tensor(gpu, 'partial_sums', [mseGroups(output) * 64]));
    for (const layer of model.layers) {
      tensors.push(new Tensor(gpu, `${layer.name}.output.gradient`, [batchRows, layer.outputs]));
      if (this.update) {
        for (const [name, shape] of parameterShapes(layer)) {
          for (const kind of ['gradient', 'first_moment', 'second_moment']) {
            tensors.push(new Tensor(gpu, `${name}.${kind}`, shape));
          }
        }
      }
    }
    for (const tensor of tensors) {
      this.#tensors.set(tensor.name, tensor);
    }
    const batches = batchesOf(this.dataset.rows, batchRows);
    const buffer = (label: string, bytes: number, usage = 0) => {
      const made = gpu.buffer(label, bytes, usage);
      this.#buffers.push(made);
      return made;
    };
    this.#order = buffer('The order of rows', this.dataset.rows * 4);
    this.#steps = buffer("The steps' records", batches * stepBytes);
    this.#step = buffer("The step's record", 32, GPUBufferUsage.UNIFORM);
    this.#state = buffer('The state', 16);
    this.#log = buffer("The steps' log", batches * logBytes);
    this.#activeRows = buffer('The counts of active rows', padded(model.hidden) * 4);
    this.#everActive = buffer('The units ever active', padded(model.hidden) * 4);
    this.#readback = gpu.device.createBuffer({
      size: this.#log.size + this.#everActive.size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    this.#buffers.push(this.#readback);
  }

  async #addForward(): Promise<void> {
    const { program, model } = this;
    const { gpu, layers } = model;
    const input = this.tensor('input');
    const begin = await gpu.kernel({ files: ['step.wgsl', 'begin_step.wgsl'] });
    program.add(begin, [this.#state, this.#steps, this.#step], [1, 1]);
    await this.#examples.addGather(program, this.#step, this.#order, input);
    await addLayers(program, layers, input, this.#outputs);

    const hidden = this.#outputs[model.encoder.length - 1];
    const means = this.tensor('means');
    const columnMeans = await gpu.kernel({
      files: ['step.wgsl', `${model.config.activation}.wgsl`, 'column_means.wgsl'],
    });
    const counts = [this.#activeRows, this.#everActive];
    program.add(columnMeans, [this.#step, hidden, means, ...counts], columnGrid(hidden));

    const output = this.#outputs[layers.length - 1];
    const partialSums = this.tensor('partial_sums');
    const outputGradient = this.tensor(`${layers[layers.length - 1].name}.output.gradient`);
    const mse = await gpu.kernel({ files: ['step.wgsl', 'mse.wgsl'] });
    const mseBindings = [matrixSizes(output), this.#step, input, output, outputGradient, partialSums];
    program.add(mse, mseBindings, [mseGroups(output), 1]);

    const metrics = await gpu.kernel({ files: ['step.wgsl', 'kl_sparsity.wgsl', 'step_metrics.wgsl'] });
    const sizes = new Uint32Array([model.config.in_dims, model.hidden]);
    const metricsBindings = [sizes, this.#step, partialSums, means, this.#activeRows, this.#state, this.#log];
    program.add(metrics, metricsBindings, [1, 1]);
  }

  async #addBackward(): Promise<void> {
    const { program, model } = this;
    const { gpu, layers } = model;
    const activationGradient = await gpu.kernel({
      files: ['elementwise.wgsl', `${model.config.activation}.wgsl`, 'activation_gradient.wgsl'],
    });
    const klGradient = await gpu.kernel({
      files: ['step.wgsl', 'elementwise.wgsl', 'kl_sparsity.wgsl', 'kl_gradient.wgsl'],
    });
    const columnSums = await gpu.kernel({ files: ['column_sums.wgsl'] });
    for (let l = layers.length - 1; l >= 0; l--) {
      const { name, weight, bias } = layers[l];
      const gradient = this.tensor(`${name}.output.gradient`);
      if (l > 0) {
        // The gradient of this layer's input comes first: it reads the weights that Adam is about to change.
        const below = this.#outputs[l - 1];
        const belowGradient = this.tensor(`${layers[l - 1].name}.output.gradient`);
        const sizes = matrixSizes(below);
        const workgroups = elementwiseGrid(below);
        await addGemm(program, 'nn', gradient, weight, belowGradient);
        if (l === model.encoder.length) {
          program.add(klGradient, [sizes, this.#step, this.tensor('means'), belowGradient], workgroups);
        }
        program.add(activationGradient, [sizes, below, belowGradient], workgroups);
      }
      const input = l > 0 ? this.#outputs[l - 1] : this.tensor('input');
      const weightGradient = this.tensor(`${name}.weight.gradient`);
      await addGemm(program, 'tn', gradient, input, weightGradient);
      const biasGradient = this.tensor(`${name}.bias.gradient`);
      program.add(columnSums, [matrixSizes(gradient), gradient, biasGradient], columnGrid(gradient));
      await this.#addAdam(weight, gpu);
      await this.#addAdam(bias, gpu);
    }
  }

  async #addAdam(parameters: Tensor, gpu: Gpu): Promise<void> {
    const adam = await gpu.kernel({ files: ['step.wgsl', 'adam.wgsl'] });
    const [gradient, first, second] = ['gradient', 'first_moment', 'second_moment'].map((kind) =>
      this.tensor(`${parameters.name}.${kind}`),
    );
    const bindings = [this.#step, this.#state, gradient, parameters, first, second];
    this.program.add(adam, bindings, stridedGrid(parameters, 8));
  }

  async #readLog(steps: number): Promise<StepLog> {
    const { gpu, hidden } = this.model;
    const readback = this.#readback;
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.#log, 0, readback, 0, this.#log.size);
    encoder.copyBufferToBuffer(this.#everActive, 0, readback, this.#log.size, this.#everActive.size);
    gpu.device.queue.submit([encoder.finish()]);
    const bytes = await gpu.map(readback);
    const floats = new Float32Array(bytes, 0, this.#log.size / 4);
    const words = new Uint32Array(bytes);
    const everActive = words.subarray(this.#log.size / 4, this.#log.size / 4 + hidden);
    return {
      steps,
      mse: (step) => floats[step * 4],
      kl: (step) => floats[step * 4 + 1],
      active: (step) => words[step * 4 + 2],
      finite: (step) => words[step * 4 + 3] === 1,
      dead: everActive.reduce((sum, rows) => sum + (rows === 0 ? 1 : 0), 0),
    };
  }
}
