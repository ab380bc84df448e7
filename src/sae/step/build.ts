import { Program } from '../../gpu/program.js';
import type { Scope } from '../../gpu/scope.js';
import { Tensor, tensorBytes } from '../../gpu/tensor.js';
import type { TrainConfig } from '../config.js';
import type { Model } from '../model/model.js';
import { transposed } from '../model/transposed.js';
import { type Optimizer, optimizerOf } from '../optimizer/index.js';
import { type Penalty, type SparsityName, sparsityOf } from '../sparsity/index.js';

/** What a training step is built from, and its tensors and buffers by the names of the WGSL variables. */
export class StepBuild {
  readonly program: Program;
  readonly penalty: Penalty;
  readonly rule: Optimizer;
  readonly #named: Record<string, Tensor | GPUBuffer> = {};
  readonly #ofPass: string[] = [];
  readonly #kept: string[] = [];
  /** Whether sizes are only checked, and nothing is made. */
  #checking = false;

  constructor(
    readonly scope: Scope,
    readonly model: Model,
    readonly config: TrainConfig<SparsityName>,
    /** Rows per batch. */
    readonly rows: number,
    /** False for a step that only measures. */
    readonly update: boolean,
    /** Whether the code is lists; see `sparse/sparse-step.ts`. */
    readonly sparse: boolean,
    /** Rows after which a latent that was active in none of them counts as dead. */
    readonly deadAfter: number,
  ) {
    this.program = scope.use(new Program(model.gpu));
    this.penalty = sparsityOf(config.sparsity).penalty(config);
    this.rule = optimizerOf(config.optimizer);
  }

  /** Checks the sizes of what `make` would make, and makes nothing. @throws LimitError. */
  checkSizes(make: () => void): void {
    this.#checking = true;
    try {
      make();
    } finally {
      this.#checking = false;
    }
  }

  /** Makes a tensor of zeros with that name. @param label its name in messages. */
  makeTensor(
    name: string,
    shape: readonly number[],
    label = `The tensor ${name} [${shape.join(', ')}]`,
  ): void {
    if (this.#checking) {
      this.model.gpu.checkSize(label, tensorBytes(shape));
    } else {
      this.#name(name, this.scope.use(new Tensor(this.model.gpu, name, shape)));
    }
  }

  /** Makes a buffer of zeros with that name. @param label its name in messages. */
  makeBuffer(name: string, label: string, bytes: number, usage?: GPUBufferUsageFlags): void {
    const { gpu } = this.model;
    if (this.#checking) {
      gpu.checkSize(label, bytes);
    } else {
      this.#name(
        name,
        this.scope.adopt(gpu.buffer(label, bytes, usage), (buffer) => gpu.free(buffer)),
      );
    }
  }

  /** Makes a buffer that accumulates over a pass: it is zeroed when a pass begins, and part of every snapshot. */
  makePassBuffer(name: string, label: string, bytes: number): void {
    this.makeBuffer(name, label, bytes);
    if (!this.#checking) {
      this.#ofPass.push(name);
    }
  }

  /** Makes a buffer that is kept from step to step of a whole training: it is part of every snapshot. */
  makeKeptBuffer(name: string, label: string, bytes: number): void {
    this.makeBuffer(name, label, bytes);
    if (!this.#checking) {
      this.#kept.push(name);
    }
  }

  /** The names of the buffers of `makeKeptBuffer`. */
  get kept(): readonly string[] {
    return this.#kept;
  }

  /** The names of the buffers of `makePassBuffer`. */
  get ofPass(): readonly string[] {
    return this.#ofPass;
  }

  /**
   * The weights of the first decoder layer for kernels of matrices, [outputs, latents]: the model's own or, where these lie
   * by latents and the step only measures, a copy.
   */
  get decoderWeights(): Tensor {
    const copy = this.#named.decoder_by_outputs;
    return copy instanceof Tensor ? copy : this.model.decoder[0].weight;
  }

  /** Makes that copy if a penalty depends on the weights. */
  async copyDecoder(): Promise<void> {
    const [{ weight, byLatents, inputs, outputs }] = this.model.decoder;
    if (byLatents && this.penalty.decoder) {
      const values = transposed(await weight.read(), inputs);
      await this.model.gpu.allocate('a copy of the decoder', () =>
        this.makeTensor('decoder_by_outputs', [outputs, inputs]),
      );
      this.tensor('decoder_by_outputs').write(values);
    }
  }

  /** The code of a batch, [rows, latents]. */
  get code(): Tensor {
    return this.tensor(`${this.model.encoder.at(-1)!.name}.output`);
  }

  #name(name: string, made: Tensor | GPUBuffer): void {
    if (name in this.#named) {
      throw new RangeError(`a training step already has a ${name}`);
    }
    this.#named[name] = made;
  }

  /** @throws RangeError if there is no tensor of that name. */
  tensor(name: string): Tensor {
    const found = this.#named[name];
    if (!(found instanceof Tensor)) {
      throw new RangeError(`a training step has no tensor ${name}`);
    }
    return found;
  }

  /** @throws RangeError if there is no buffer of that name. */
  buffer(name: string): GPUBuffer {
    const found = this.#named[name];
    if (!found || found instanceof Tensor) {
      throw new RangeError(`a training step has no buffer ${name}`);
    }
    return found;
  }

  /** All tensors and buffers: a kernel takes those that it binds. */
  get bindings(): Readonly<Record<string, Tensor | GPUBuffer>> {
    return this.#named;
  }
}
