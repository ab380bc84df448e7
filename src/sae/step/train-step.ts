import { type Submitted, submitsInFlight } from '../../gpu/pacer.js';
import { Program } from '../../gpu/program.js';
import { Scope } from '../../gpu/scope.js';
import type { Tensor } from '../../gpu/tensor.js';
import type { TrainConfig } from '../config.js';
import { DataError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { WindowSizes } from '../rows/chunks.js';
import { grouped } from '../rows/formats/array.js';
import type { DeviceRows } from '../rows/source.js';
import { type Spread, Windows } from '../rows/window.js';
import type { SparsityName } from '../sparsity/index.js';
import { addBackward } from './backward.js';
import { StepBuild } from './build.js';
import { codingOf } from './codings.js';
import { allocateDivisor } from './divisor.js';
import { addForward, addForwardInBlocks, allocateForward } from './forward.js';
import { batchesOf, stepBytes } from './records.js';
import { allocateBlocks, blockCount, blockRows } from './row-blocks.js';
import { allocateSilentRows, deadAfter } from './silent-rows.js';
import { prepareModel, takesLists } from './sparse/choice.js';
import { addSparseStep, allocateSparse } from './sparse/sparse-step.js';
import { logBytes, parseLog, type StepLog } from './step-log.js';
import { addMomentsCheck, allocateUpdate, momentsOf, storesGradients } from './update.js';

/**
 * Steps between two checks of the moments: at the end of a pass at least, since compared with so many steps a check costs
 * nothing; and at most, since a pass may take days.
 */
const checkInterval = 128;
const longestInterval = 1024;

/** A training step's state on the device between two submits, besides the model and the rows. */
export interface StepState {
  /** The update rule's moments by the names of their buffers, in the device's layout. */
  readonly moments: ReadonlyMap<string, ArrayBuffer>;
  /** The buffers that accumulate over a pass, by name. */
  readonly pass: ReadonlyMap<string, ArrayBuffer>;
  /** Those that are kept over the whole training, by name. */
  readonly kept: ReadonlyMap<string, ArrayBuffer>;
  /** The rows' moments so far. */
  readonly spread: Spread;
  /** Whether something was not finite. */
  readonly halted: boolean;
}

/** How a step is made, besides its configuration. */
export interface StepOptions {
  /** False for a step that only measures. */
  readonly update: boolean;
  /** Rows on the device at a time, a multiple of the batch; by default all. */
  readonly window_rows?: number | undefined;
  /** Rows that are on the device already, and of which others take care: steps of a group share them. */
  readonly windows?: Windows | undefined;
  /** Of a step that only measures: how many latents, the first ones, reconstruct the rows; by default all. */
  readonly latents?: number;
}

/**
 * One batch's forward pass, loss and metrics, and, for training, its backward pass and update: a program that is
 * recorded once for a model and its rows and encodes the same commands for every step. It owns the rows on the device,
 * the activations and the moments.
 *
 * Elementwise work is fused into the GEMM that makes or uses the values.
 */
export class TrainStep {
  readonly program: Program;
  /** Steps that a pass over all rows takes. */
  readonly batches: number;
  /** One buffer for each submit that may be in flight. */
  readonly #readbacks: readonly GPUBuffer[];
  #submits = 0;
  /** Steps since the moments were checked: those of a short first pass are. */
  #unchecked = checkInterval;
  /** Steps of the pass before the current window, steps of the window, and those of it that were submitted. */
  #before = 0;
  #inWindow = 0;
  #submitted = 0;
  /** Rows of the current window. */
  #windowRows = 0;

  private constructor(
    /** @internal */
    readonly build: StepBuild,
    readonly windows: Windows,
    readonly scope: Scope,
    /** Checks the moments, if training itself would not notice that one is not finite. */
    readonly check: Program | undefined,
  ) {
    this.program = build.program;
    this.batches = passBatches(windows.sizes, build.rows);
    this.#before = this.batches;
    const { gpu } = build.model;
    const log = batchesOf(windows.sizes.size, build.rows) * logBytes;
    const most = log + build.buffer('rows_active').size + (check ? build.buffer('overflows').size : 0);
    this.#readbacks = Array.from({ length: submitsInFlight }, () =>
      scope.adopt(gpu.staging('The log of a submit', most), (buffer) => gpu.free(buffer)),
    );
  }

  /** @throws DataError for rows of another width, LimitError before anything is allocated, OutOfMemoryError. */
  static async create(
    model: Model,
    source: DeviceRows,
    config: TrainConfig<SparsityName>,
    { update, window_rows, windows: shared, latents }: StepOptions,
  ): Promise<TrainStep> {
    model.checkOpen();
    model.checkWidth(source);
    if (update) {
      await prepareModel(model, config);
    }
    return Scope.building(async (scope) => {
      const rows = Math.min(config.batch_size, source.rows);
      const build = new StepBuild(
        scope,
        model,
        config,
        rows,
        update,
        update && takesLists(model.config, config),
        deadAfter(config, source.rows),
      );
      const size = shared?.sizes.size ?? Math.min(window_rows ?? source.rows, source.rows);
      // Reading rows may take long, so sizes are checked before.
      Windows.checkSizes(model.gpu, source, size);
      build.checkSizes(() => allocate(build, size));
      const windows = shared ?? scope.use(await Windows.create(model.gpu, source, window_rows));
      const what = `training with batches of ${rows} rows`;
      const step = await model.gpu.allocate(what, () => {
        allocate(build, windows.sizes.size);
        const check = update && !storesGradients(build) ? scope.use(new Program(model.gpu)) : undefined;
        return new TrainStep(build, windows, scope, check);
      });
      if (!update) {
        await build.copyDecoder();
      }
      if (build.sparse) {
        await addSparseStep(build, windows);
      } else {
        await addMatrixStep(build, windows, latents);
      }
      if (step.check) {
        addMomentsCheck(build, step.check);
      }
      await Promise.all([step.program.ready(), step.check?.ready()]);
      return step;
    });
  }

  get model(): Model {
    return this.build.model;
  }

  get source(): DeviceRows {
    return this.windows.source;
  }

  /**
   * The variance of the rows that steps have begun with: the mean, over rows and values, of the squared distance from each
   * value's mean, in normalised units.
   */
  get variance(): number {
    return this.windows.variance;
  }

  /** Rows per batch. */
  get batchRows(): number {
    return this.build.rows;
  }

  /** The tensor of that name, such as `encoder.0.output` or, if gradients are stored, `encoder.0.weight.gradient`. */
  tensor(name: string): Tensor {
    return this.build.tensor(name);
  }

  /** Steps of the pass that were submitted; before the first pass all. */
  get done(): number {
    return this.#before + this.#submitted;
  }

  /** Steps of the current window that were not submitted yet. */
  get leftInWindow(): number {
    return this.#inWindow - this.#submitted;
  }

  /** Begins a pass over all rows. */
  beginPass(): void {
    const { build } = this;
    for (const buffer of build.ofPass.map((name) => build.buffer(name))) {
      build.model.gpu.write(buffer, new Uint8Array(buffer.size));
    }
    this.#before = 0;
    this.#inWindow = 0;
    this.#submitted = 0;
  }

  /**
   * Begins a window.
   * @param number of it, over all passes.
   * @param order of its rows.
   * @throws RangeError if it is not loaded.
   */
  beginWindow(number: number, order: Uint32Array<ArrayBuffer>): void {
    this.windows.open(number, order);
    this.#before += this.#inWindow;
    this.#submitted = 0;
    this.#windowRows = order.length;
    this.#inWindow = batchesOf(this.#windowRows, this.batchRows);
    this.model.gpu.write(this.build.buffer('state'), new Uint32Array([0]));
  }

  /** Rows of the current window, and its steps that were submitted: `stepRecords` takes both. */
  get window(): { readonly rows: number; readonly submitted: number } {
    return { rows: this.#windowRows, submitted: this.#submitted };
  }

  /**
   * Writes the records of the window's steps that were not submitted yet.
   * @param records from `stepRecords`, one for each.
   */
  schedule(records: ArrayBuffer): void {
    const { gpu } = this.model;
    gpu.write(this.build.buffer('steps'), records, this.#submitted * stepBytes);
    // The last submitted step also writes the next one's record here, but before this write.
    gpu.write(this.build.buffer('step'), new Uint8Array(records, 0, stepBytes));
  }

  /**
   * Submits the next steps of the window, at most `most`. At most `submitsInFlight` submits may be in flight.
   * @param toEnd steps up to the end of the run, which the log tells of as of that of a pass, whole or not.
   * @internal
   */
  submit(most: number, toEnd = Number.POSITIVE_INFINITY): Submitted<StepLog> {
    const first = this.#submitted;
    const times = Math.min(most, this.leftInWindow, toEnd);
    this.#submitted += times;
    const ends = this.done === this.batches || times === toEnd;
    const readback = this.#readbacks[this.#submits++ % submitsInFlight];
    const { gpu, hidden, trained } = this.model;
    let size = 0;
    this.#unchecked += times;
    const checked = this.check !== undefined && this.#unchecked >= (ends ? checkInterval : longestInterval);
    if (checked) this.#unchecked = 0;
    let latentWords = 0;
    const log = (encoder: GPUCommandEncoder) => {
      const copy = (name: string, from = 0, bytes = this.build.buffer(name).size) => {
        encoder.copyBufferToBuffer(this.build.buffer(name), from, readback, size, bytes);
        size += bytes;
        return bytes / 4;
      };
      copy('log_of_steps', first * logBytes, times * logBytes);
      if (ends) latentWords = copy('rows_active');
      if (checked) {
        this.check?.encode(encoder, 1);
        copy('overflows');
      }
    };
    this.program.submit(times, { after: log });
    const parameters = checked ? trained.map(({ name }) => name) : [];
    const appended = { latents: ends ? hidden : 0, latentWords, parameters };
    const rows = Array.from({ length: times }, (_, i) =>
      Math.min(this.batchRows, this.#windowRows - (first + i) * this.batchRows),
    );
    const ended = gpu.map(readback, size).then((entries) => parseLog(entries, rows, appended));
    return { times, ended };
  }

  /** Reads the state as of one moment: all copies are submitted before the first is awaited. */
  async state(): Promise<StepState> {
    const { build, model } = this;
    const { spread } = this.windows;
    const copy = async (name: string) => [name, await model.gpu.read(build.buffer(name))] as const;
    const [moments, pass, kept, counters] = await Promise.all([
      Promise.all(model.trained.flatMap((tensor) => momentsOf(build, tensor).map(copy))),
      Promise.all(build.ofPass.map(copy)),
      Promise.all(build.kept.map(copy)),
      model.gpu.read(build.buffer('state')),
    ]);
    return {
      moments: new Map(moments),
      pass: new Map(pass),
      kept: new Map(kept),
      spread,
      halted: new Uint32Array(counters)[1] !== 0,
    };
  }

  /** Counts steps of an earlier training as submitted: `before` the current window, and in it. */
  skip(before: number, inWindow: number): void {
    this.model.gpu.write(this.build.buffer('state'), new Uint32Array([inWindow]));
    this.#before = before;
    this.#submitted = inWindow;
  }

  /** Replaces the state on the device by another step's. @throws DataError if that has other sizes. */
  restore({ moments, pass, kept, spread }: StepState): void {
    const { build } = this;
    this.windows.restoreSpread(spread);
    const named = [
      ...build.ofPass.map((name) => [name, pass.get(name)] as const),
      ...build.kept.map((name) => [name, kept.get(name)] as const),
      ...this.model.trained
        .flatMap((tensor) => momentsOf(build, tensor))
        .map((name) => [name, moments.get(name)] as const),
    ];
    for (const [name, bytes] of named) {
      const { label, size } = build.buffer(name);
      if (bytes?.byteLength !== size) {
        throw new DataError(
          `The snapshot has ${bytes?.byteLength ?? 'no'} bytes for this (${label}); expected ${size}. Resume it unchanged, with the ` +
            'version that made it.',
        );
      }
      build.model.gpu.write(build.buffer(name), bytes);
    }
  }

  destroy(): void {
    this.scope.destroy();
  }
}

/** Steps of a pass: batches do not cross the ends of windows. */
function passBatches(sizes: WindowSizes, batchRows: number): number {
  const { count, size } = sizes;
  return (count - 1) * batchesOf(size, batchRows) + batchesOf(sizes.rowsOf(count - 1), batchRows);
}

/** Appends a step whose code is a matrix. @param latents as in `StepOptions`. */
async function addMatrixStep(build: StepBuild, windows: Windows, latents?: number): Promise<void> {
  if (blockCount(build) > 1) {
    return addForwardInBlocks(build, windows, latents);
  }
  const { gpu, layers } = build.model;
  const [{ inputs, outputs }] = layers;
  // A wide tile reads images, and only what is a matrix by itself has one.
  const tile = await gpu.tuner.tile({ order: 'nt', rows: build.rows, columns: outputs, depth: inputs });
  const input = await windows.input(build.program, build.buffer('step'), tile.family === 'wide', () =>
    gpu.allocate('a batch', () => {
      build.makeTensor('batch', [build.rows, windows.source.in_dims]);
      return build.tensor('batch');
    }),
  );
  await addForward(build, input, latents);
  if (build.update) {
    await addBackward(build, input);
  }
}

/** @param windowRows rows that are on the device at a time. */
function allocate(build: StepBuild, windowRows: number): void {
  const { rows, sparse } = build;
  const { layers, config } = build.model;
  const together = blockRows(build);
  const what = together < rows ? `The layer of ${together} rows` : "A batch's layer";
  const makeLayer = (name: string, width: number) =>
    build.makeTensor(name, [together, width], `${what} [${together}, ${width}]`);
  // A sparse step has gradients of its own.
  for (const layer of sparse ? [] : layers) {
    makeLayer(`${layer.name}.gradient`, layer.outputs);
  }
  for (const layer of layers.slice(0, -1)) {
    makeLayer(`${layer.name}.output`, layer.outputs);
  }
  if (sparse || together < rows) {
    build.makeTensor('batch', [rows, config.in_dims], `A batch [${rows}, ${config.in_dims}]`);
  }
  allocateBlocks(build);
  const uniform = GPUBufferUsage.UNIFORM;
  const batches = batchesOf(windowRows, rows);
  const many = `${grouped(windowRows)} rows at a time in batches of ${grouped(rows)}, ${grouped(batches)} steps,`;
  build.makeBuffer('steps', `The records of ${many}`, batches * stepBytes);
  build.makeBuffer('log_of_steps', `The log of ${many}`, batches * logBytes);
  build.makeBuffer('step', "The next step's record", stepBytes, uniform);
  build.makeBuffer('update', "The step's record", stepBytes, uniform);
  build.makeBuffer('state', 'The counters', 8, uniform);
  allocateDivisor(build);
  allocateSilentRows(build);
  if (build.sparse) {
    allocateSparse(build);
  } else {
    allocateForward(build);
    codingOf(build)?.allocate(build);
  }
  if (build.update) {
    allocateUpdate(build);
  }
}
