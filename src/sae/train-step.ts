import { addGemm } from '../gpu/gemm.js';
import { type Submitted, submitsInFlight } from '../gpu/pacer.js';
import { Program } from '../gpu/program.js';
import { padded, Tensor, tensorBytes } from '../gpu/tensor.js';
import type { Dataset } from './dataset.js';
import { Examples } from './examples.js';
import { addLayer, type BatchInput, layerOutputs } from './forward.js';
import type { Model } from './model.js';
import { batchesOf, stepBytes } from './schedule.js';
import { logBytes, parseLog, type StepLog } from './step-log.js';

/** What is on the device of a training step between two submits, besides the model. */
export interface StepState {
  /** Of Adam, by the tensors' names, as they lie on the device. */
  readonly moments: ReadonlyMap<string, ArrayBuffer>;
  /** Log entries of the pass's steps so far. */
  readonly log: ArrayBuffer;
  readonly ever_active: ArrayBuffer;
  /** Whether a loss was not finite. */
  readonly halted: boolean;
}

/** Bytes of `struct Share`, and invocations a workgroup, in `hidden_statistics.wgsl`. */
const shareBytes = 12;
const statisticsThreads = 64;

/**
 * One batch's forward pass, loss and metrics, and, for training, its backward pass and Adam: a program that is
 * recorded once for a model and a data set and encodes the same commands for every step. It owns its examples,
 * activations and Adam's moments.
 *
 * Everything elementwise is done by the GEMM that makes or uses the values: a layer is one dispatch forward and two
 * backward, the first one and the last one a dispatch less, and two small ones end the forward pass.
 */
export class TrainStep {
  readonly program: Program;
  /** Steps that a pass over all rows takes. */
  readonly batches: number;
  readonly #tensors = new Map<string, Tensor>();
  readonly #buffers = new Map<string, GPUBuffer>();
  /** One for each submit that may be in flight. */
  readonly #readbacks: GPUBuffer[] = [];
  #submits = 0;
  #done: number;
  #examples: Examples | undefined;

  private constructor(
    readonly model: Model,
    readonly dataset: Dataset,
    /** Rows a batch, at most all. */
    readonly batchRows: number,
    readonly update: boolean,
  ) {
    this.program = new Program(model.gpu);
    this.batches = batchesOf(dataset.rows, batchRows);
    this.#done = this.batches;
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
      const input = await step.#addInput(step.#examples);
      await step.#addForward(input);
      if (update) {
        await step.#addBackward(input);
      }
      await step.program.ready();
      return step;
    } catch (error) {
      step.destroy();
      throw error;
    }
  }

  /** The tensor of that name, such as `encoder.0.output` or `encoder.0.weight.moments`. */
  tensor(name: string): Tensor {
    return found(this.#tensors, name);
  }

  /** Steps of the pass that have been submitted; all of them before the first pass. */
  get done(): number {
    return this.#done;
  }

  /** Begins a pass. @param order the rows in the order in which the steps take them. */
  begin(order: Uint32Array<ArrayBuffer>): void {
    const { queue } = this.model.gpu.device;
    queue.writeBuffer(this.#buffer('order'), 0, order);
    queue.writeBuffer(this.#buffer('state'), 0, new Uint32Array([0]));
    const everActive = this.#buffer('ever_active');
    queue.writeBuffer(everActive, 0, new Uint32Array(everActive.size / 4));
    this.#done = 0;
  }

  /** Says what the steps do that have not been submitted yet. @param records from `stepRecords`, one for each. */
  schedule(records: ArrayBuffer): void {
    const { queue } = this.model.gpu.device;
    queue.writeBuffer(this.#buffer('steps'), this.#done * stepBytes, records);
    // The last step that was submitted moves the record of the next one to here, and this comes after it.
    queue.writeBuffer(this.#buffer('step'), 0, records, 0, stepBytes);
  }

  /** Submits the next steps of the pass, at most `most`; at most `submitsInFlight` times without waiting. */
  submit(most: number): Submitted<StepLog> {
    const first = this.#done;
    const times = Math.min(most, this.batches - first);
    const end = first + times;
    this.#done = end;

    const whole = end === this.batches;
    const from = whole ? 0 : first;
    const readback = this.#readbacks[this.#submits++ % submitsInFlight];
    const { gpu, hidden } = this.model;
    const encoder = gpu.device.createCommandEncoder();
    this.program.encode(encoder, times);
    const logSize = (end - from) * logBytes;
    encoder.copyBufferToBuffer(this.#buffer('log_of_steps'), from * logBytes, readback, 0, logSize);
    const everActive = this.#buffer('ever_active');
    if (whole) {
      encoder.copyBufferToBuffer(everActive, 0, readback, logSize, everActive.size);
    }
    gpu.device.queue.submit([encoder.finish()]);
    const bytes = gpu.map(readback, logSize + (whole ? everActive.size : 0));
    const place = { first, end, from, hidden: whole ? hidden : undefined };
    const ended = bytes.then((entries) => parseLog(entries, place));
    return { times, ended };
  }

  /** Reads the state at one moment: every copy is submitted before the first is waited for. */
  async state(): Promise<StepState> {
    const { gpu } = this.model;
    const momentsOf = [...this.#tensors.values()].filter(({ name }) => name.endsWith('.moments'));
    const [log, ever_active, counters, moments] = await Promise.all([
      gpu.read(this.#buffer('log_of_steps'), Math.max(1, this.#done) * logBytes),
      gpu.read(this.#buffer('ever_active')),
      gpu.read(this.#buffer('state')),
      Promise.all(momentsOf.map(async ({ name, buffer }) => [name, await gpu.read(buffer)] as const)),
    ]);
    return { moments: new Map(moments), log, ever_active, halted: new Uint32Array(counters)[1] !== 0 };
  }

  /** Puts a state in the place of this one, with so many steps of the pass done. Call `begin` before it. */
  restore({ moments, log, ever_active }: StepState, done: number): void {
    const { queue } = this.model.gpu.device;
    for (const [name, bytes] of moments) {
      queue.writeBuffer(this.tensor(name).buffer, 0, bytes);
    }
    queue.writeBuffer(this.#buffer('log_of_steps'), 0, log);
    queue.writeBuffer(this.#buffer('ever_active'), 0, ever_active);
    queue.writeBuffer(this.#buffer('state'), 0, new Uint32Array([done]));
    this.#done = done;
  }

  destroy(): void {
    this.program.destroy();
    this.#examples?.destroy();
    for (const buffer of [...this.#buffers.values(), ...this.#readbacks]) {
      this.model.gpu.free(buffer);
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
    if (this.update) {
      for (const { name, inputs, outputs } of layers) {
        gpu.checkSize(`The tensor of Adam's moments for ${name}.weight`, 2 * tensorBytes([outputs, inputs]));
      }
    }
  }

  #allocate(): void {
    const { model, batchRows, dataset } = this;
    const { gpu, layers, hidden } = model;
    const rowBlocks = padded(batchRows) / 4;
    const keep = (tensor: Tensor) => this.#tensors.set(tensor.name, tensor);
    for (const output of layerOutputs(layers.slice(0, -1), batchRows)) {
      keep(output);
    }
    for (const layer of layers) {
      keep(new Tensor(gpu, `${layer.name}.gradient`, [batchRows, layer.outputs]));
      if (this.update) {
        // Adam's m and v of each vec4 in turn.
        keep(new Tensor(gpu, `${layer.name}.weight.moments`, [layer.outputs, 2 * padded(layer.inputs)]));
        keep(new Tensor(gpu, `${layer.name}.bias.moments`, [2 * padded(layer.outputs)]));
      }
    }
    const make = (name: string, bytes: number, usage = 0) =>
      this.#buffers.set(name, gpu.buffer(name, bytes, usage));
    make('order', dataset.rows * 4);
    make('steps', this.batches * stepBytes);
    make('step', stepBytes, GPUBufferUsage.UNIFORM);
    make('update', stepBytes, GPUBufferUsage.UNIFORM);
    make('state', 8, GPUBufferUsage.UNIFORM);
    make('log_of_steps', this.batches * logBytes);
    make('column_sums', rowBlocks * padded(hidden) * 4);
    make('active_counts', rowBlocks * padded(hidden));
    make('squared_errors', rowBlocks * padded(model.config.in_dims));
    make('penalty_slopes', padded(hidden) * 4);
    make('ever_active', padded(hidden) * 4);
    make('shares', this.#statisticsGroups * statisticsThreads * shareBytes);
    const readback = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const size = this.#buffer('log_of_steps').size + this.#buffer('ever_active').size;
    for (let i = 0; i < submitsInFlight; i++) {
      this.#readbacks.push(gpu.device.createBuffer({ size, usage: readback }));
    }
  }

  /** Enough for one invocation a vec4 of units, and for not too many squared errors each. */
  get #statisticsGroups(): number {
    const { hidden, config } = this.model;
    const vectors = padded(hidden) / 4;
    const errors = (padded(this.batchRows) / 4) * (padded(config.in_dims) / 4);
    const invocations = Math.max(vectors, Math.min(errors / 8, statisticsThreads ** 2));
    return Math.ceil(invocations / statisticsThreads);
  }

  #addInput(examples: Examples): Promise<BatchInput> {
    const { model, batchRows, program } = this;
    const { gpu, config } = model;
    return examples.input(program, this.#buffer('step'), this.#buffer('order'), async () => {
      const batch = await gpu.allocate(
        'a batch',
        () => new Tensor(gpu, 'input', [batchRows, config.in_dims]),
      );
      this.#tensors.set(batch.name, batch);
      return batch;
    });
  }

  async #addForward(input: BatchInput): Promise<void> {
    const { program, model, batchRows } = this;
    const { layers, encoder, hidden, config } = model;
    const step = this.#buffer('step');
    const sums = this.#pick('step', 'column_sums', 'active_counts');
    const last = layers.length - 1;
    for (const [i, layer] of layers.slice(0, last).entries()) {
      const below = i === 0 ? input : this.tensor(`${layers[i - 1].name}.output`);
      const isHidden = i === encoder.length - 1;
      await addLayer(program, layer, below, this.tensor(`${layer.name}.output`), isHidden ? sums : undefined);
    }

    const { name, weight, bias, inputs, outputs } = layers[last];
    const files = ['step.wgsl', ...input.files, 'gemm_a.wgsl', 'gemm_b_transposed.wgsl', 'store_loss.wgsl'];
    await addGemm(program, { order: 'nt', rows: batchRows, columns: outputs, depth: inputs }, files, {
      ...input.bindings,
      ...this.#pick('squared_errors'),
      a: this.tensor(`${layers[last - 1].name}.output`),
      b: weight,
      bias,
      gradients: this.tensor(`${name}.gradient`),
      layer: new Uint32Array([outputs]),
    });

    const statistics = { files: ['step.wgsl', 'kl_sparsity.wgsl', 'hidden_statistics.wgsl'] };
    const sizes = new Uint32Array([padded(batchRows) / 4, padded(hidden) / 4, hidden]);
    const shared = this.#pick('squared_errors', 'penalty_slopes', 'ever_active', 'shares');
    program.add(statistics, { ...sums, ...shared, sizes, step }, [this.#statisticsGroups, 1]);

    const metrics = { files: ['step.wgsl', 'step_metrics.wgsl'] };
    const moved = this.#pick('shares', 'steps', 'step', 'update', 'state', 'log_of_steps');
    program.add(metrics, { ...moved, sizes: new Uint32Array([config.in_dims]) }, [1, 1]);
  }

  async #addBackward(input: BatchInput): Promise<void> {
    const { program, model, batchRows } = this;
    const { layers, encoder, config } = model;
    const { update, state, penalty_slopes } = this.#pick('update', 'state', 'penalty_slopes');
    // The backward pass reads the record of its own step: `step` is already the next one's.
    const ownInput: BatchInput = { ...input, bindings: { ...input.bindings, step: update } };
    for (let l = layers.length - 1; l >= 0; l--) {
      const { name, weight, bias, inputs, outputs } = layers[l];
      const a = this.tensor(`${name}.gradient`);
      if (l > 0) {
        // The gradient of this layer's input comes first: it reads the weights that Adam is about to change.
        const penalty = l === encoder.length ? 'penalty_kl.wgsl' : 'penalty_none.wgsl';
        const files = [
          'step.wgsl',
          'gemm_a.wgsl',
          'gemm_b.wgsl',
          `${config.activation}.wgsl`,
          penalty,
          'store_gradient.wgsl',
        ];
        await addGemm(program, { order: 'nn', rows: batchRows, columns: inputs, depth: outputs }, files, {
          a,
          b: weight,
          gradients: this.tensor(`${layers[l - 1].name}.gradient`),
          outputs: this.tensor(`${layers[l - 1].name}.output`),
          update,
          penalty_slopes,
        });
      }
      const below: BatchInput =
        l === 0
          ? { files: [...ownInput.files, 'b_input.wgsl'], bindings: ownInput.bindings }
          : { files: ['b_layer.wgsl'], bindings: { b: this.tensor(`${layers[l - 1].name}.output`) } };
      const files = [
        'step.wgsl',
        'gemm_a_transposed.wgsl',
        ...below.files,
        'gemm_b_ones.wgsl',
        'adam_rule.wgsl',
        'store_adam.wgsl',
      ];
      // One more block of columns for the bias.
      const shape = { order: 'tn', rows: outputs, columns: padded(inputs) + 4, depth: batchRows } as const;
      await addGemm(program, shape, files, {
        ...below.bindings,
        a,
        weights: weight,
        weight_moments: this.tensor(`${name}.weight.moments`),
        biases: bias,
        bias_moments: this.tensor(`${name}.bias.moments`),
        state,
        update,
      });
    }
  }

  #buffer(name: string): GPUBuffer {
    return found(this.#buffers, name);
  }

  #pick<Name extends string>(...names: Name[]): Record<Name, GPUBuffer> {
    return Object.fromEntries(names.map((name) => [name, this.#buffer(name)])) as Record<Name, GPUBuffer>;
  }
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) {
    throw new RangeError(`a training step has no ${name}`);
  }
  return value;
}
