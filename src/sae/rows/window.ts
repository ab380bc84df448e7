import type { Device } from '../../gpu/device.js';
import type { Bindings, Program } from '../../gpu/program.js';
import { Scope } from '../../gpu/scope.js';
import { padded, padRows, type Tensor } from '../../gpu/tensor.js';
import { DataError } from '../errors.js';
import { checkRead } from './check.js';
import { grouped } from './formats/array.js';
import { type MomentsState, RowMoments } from './moments.js';
import { type RowSource, type StoredRows, valueBytes } from './source.js';

/** How kernels read a batch's input: WGSL files and what they bind. */
export interface BatchInput {
  /** WGSL files that provide `input_at`. */
  readonly files: readonly string[];
  readonly bindings: Bindings;
  /** The batch, [rows, in_dims], if it is gathered first: then it can also be read as any other matrix. */
  readonly batch?: Tensor;
}

/** Bytes written to the device at a time. */
const writeBytes = 16 * 2 ** 20;
/** Rows per invocation of `rows/gather.wgsl`, and invocations per workgroup, which lie along columns. */
const gatherRows = 8;
const gatherColumns = 32;

function orderOf(rows: number): string {
  return `The order of ${grouped(rows)} rows at a time`;
}

/** The moments of the blocks that steps have read so far, as they are stored, and which these are. */
export interface Spread extends MomentsState {
  readonly blocks: readonly number[];
}

/** A buffer with places for rows, from place `first` on. */
interface Part {
  readonly buffer: GPUBuffer;
  readonly first: number;
  readonly rows: number;
}

/**
 * Rows on the device, with the order in which steps take them. A source's rows are divided into blocks of `size` rows.
 * If all of them fit, there is one window, loaded once. Otherwise there are two: steps read one while the other is
 * filled, and writes to a window follow the steps that read it before.
 */
export class Windows {
  /** Number of blocks; the last may be short. */
  readonly blocks: number;
  /** The places of the rows, in the order of the steps. */
  readonly order: GPUBuffer;
  /** The block in each window. */
  readonly #blocks: (number | undefined)[];
  /** The moments of blocks that were loaded, and are not among those of `#moments` yet. */
  readonly #loaded = new Map<number, RowMoments>();
  /** Of the blocks that steps have read: in their order, whatever was loaded ahead. */
  #moments: RowMoments;
  #counted = new Set<number>();
  /** The window that steps read. */
  #current = 0;
  #loading: { readonly block: number; readonly done: Promise<void> } | undefined;
  #destroyed = false;

  private constructor(
    readonly gpu: Device,
    readonly source: RowSource,
    /** Rows per window. */
    readonly size: number,
    readonly parts: readonly Part[],
    readonly scope: Scope,
  ) {
    this.blocks = Math.ceil(source.rows / size);
    this.#moments = new RowMoments(source.in_dims);
    this.#blocks = new Array(Math.min(2, this.blocks)).fill(undefined);
    this.order = scope.adopt(gpu.buffer(orderOf(size), size * 4), (buffer) => gpu.free(buffer));
  }

  /** Checks that the rows can be on the device, before anything is made. @throws LimitError. */
  static checkSizes(gpu: Device, source: RowSource, size: number): void {
    gpu.checkSize(`A row of ${source.name}`, padded(source.in_dims) * valueBytes[source.type]);
    gpu.checkSize(orderOf(size), size * 4);
  }

  /**
   * Makes room for rows, and loads them if all of them fit.
   * @param size rows per window; by default all.
   * @throws LimitError, OutOfMemoryError, and whatever the source throws.
   */
  static create(gpu: Device, source: RowSource, size = source.rows): Promise<Windows> {
    return Scope.building(async (scope) => {
      const rowBytes = padded(source.in_dims) * valueBytes[source.type];
      const most = Math.max(1, Math.floor(gpu.largestBuffer / rowBytes));
      const places = size < source.rows ? 2 * size : source.rows;
      const windows = await gpu.allocate(`${places} rows of ${source.name}`, () => {
        const parts: Part[] = [];
        for (let first = 0; first < places; first += most) {
          const rows = Math.min(most, places - first);
          const buffer = gpu.buffer(`A row of ${source.name}`, rows * rowBytes);
          parts.push({ buffer: scope.adopt(buffer, (owned) => gpu.free(owned)), first, rows });
        }
        return new Windows(gpu, source, Math.min(size, source.rows), parts, scope);
      });
      if (windows.blocks === 1) {
        await windows.load(0);
      }
      return windows;
    });
  }

  /** Rows of a block. */
  rowsOf(block: number): number {
    return Math.min(this.size, this.source.rows - block * this.size);
  }

  /** Whether a block's rows are on the device. */
  has(block: number): boolean {
    return this.#blocks.includes(block);
  }

  /** Loads a block's rows into the unused window, unless they are on the device. Loads run one after another. */
  load(block: number): Promise<void> {
    if (this.has(block)) {
      return Promise.resolve();
    }
    if (this.#loading?.block !== block) {
      const before = this.#loading?.done.catch(() => {});
      const done = Promise.resolve(before).then(() => this.#load(block));
      // The caller gets the failure; the next call reads the block again.
      done.catch(() => {
        if (this.#loading?.done === done) {
          this.#loading = undefined;
        }
      });
      this.#loading = { block, done };
    }
    return this.#loading.done;
  }

  /** Makes steps read a block. @param order of the rows within the block. @throws RangeError if it is not loaded. */
  open(block: number, order: Uint32Array<ArrayBuffer>): void {
    const window = this.#blocks.indexOf(block);
    if (window < 0) {
      throw new RangeError(`block ${block} is not on the device`);
    }
    this.#current = window;
    this.#count(block);
    const first = window * this.size;
    const places = first === 0 ? order : order.map((row) => first + row);
    this.gpu.write(this.order, places);
  }

  /**
   * The mean, over values and the rows of the blocks that were opened, of the squared distance from each value's mean, in
   * normalised units.
   */
  get variance(): number {
    const { rows, squares, columns } = this.#moments;
    const unit = (this.source.type === 'u8' ? 1 / 255 : 1) / this.source.normalization.std;
    return (squares / (rows * columns)) * unit ** 2;
  }

  /** What `variance` is computed from. */
  get spread(): Spread {
    const { rows, squares, mean } = this.#moments;
    return { rows, squares, mean: mean.slice(), blocks: [...this.#counted] };
  }

  /** Replaces that by another's of the same rows. @throws DataError if it has another width. */
  restoreSpread({ blocks, ...moments }: Spread): void {
    const { in_dims } = this.source;
    if (moments.mean.length !== in_dims) {
      throw new DataError(
        `The snapshot has the means of ${moments.mean.length} values; expected ${in_dims}. Resume it unchanged.`,
      );
    }
    this.#moments = new RowMoments(in_dims);
    this.#moments.merge(moments);
    this.#counted = new Set(blocks);
  }

  #count(block: number): void {
    const moments = this.#loaded.get(block);
    this.#loaded.delete(block);
    if (moments && !this.#counted.has(block)) {
      this.#moments.merge(moments);
      this.#counted.add(block);
    }
  }

  /**
   * How kernels read a batch's input: straight from the rows or, if these lie in several parts or it is wanted, from a batch
   * that is gathered first, by dispatches that are appended to `program`.
   * @param gather whether products read the batch so often that it is faster to gather it first.
   * @param makeBatch makes the tensor for that batch, [rows, in_dims].
   */
  async input(
    program: Program,
    step: GPUBuffer,
    gather: boolean,
    makeBatch: () => Promise<Tensor>,
  ): Promise<BatchInput> {
    if (this.parts.length === 1 && !gather) {
      return this.#read(this.parts[0], step);
    }
    const batch = await makeBatch();
    this.addGather(program, step, batch);
    return gathered(step, batch);
  }

  /**
   * Appends the dispatches that copy a batch's rows to `gathered`: in the order's sequence, from the step's first row
   * on.
   * @param pre_bias what is subtracted from each row, if anything.
   */
  addGather(program: Program, step: GPUBuffer, gathered: Tensor, pre_bias?: Tensor): void {
    const rows = padded(gathered.rows);
    const columnBlocks = padded(gathered.columns) / 4;
    const batch = new Uint32Array([rows, columnBlocks]);
    const workgroups = [Math.ceil(columnBlocks / gatherColumns), Math.ceil(rows / gatherRows)] as const;
    for (const part of this.parts) {
      const { files, bindings } = this.#read(part, step);
      const taken = pre_bias ? 'rows/centred.wgsl' : 'rows/as_is.wgsl';
      const source = { files: ['metrics/step.wgsl', ...files, taken, 'rows/gather.wgsl'] };
      const own = { ...bindings, ...(pre_bias && { pre_bias }), batch, gathered };
      program.add(source, own, workgroups);
    }
  }

  destroy(): void {
    // A read may still be running.
    this.#destroyed = true;
    this.scope.destroy();
  }

  #read({ buffer, first, rows }: Part, step: GPUBuffer): BatchInput {
    const { normalization, in_dims, type } = this.source;
    const part = new Uint32Array([first, rows, padded(in_dims) / 4, in_dims, 0, 0]);
    new Float32Array(part.buffer).set([normalization.mean, 1 / normalization.std], 4);
    return {
      files: [`rows/${type}.wgsl`, 'rows/window.wgsl'],
      bindings: { step, part, order: this.order, stored_rows: buffer },
    };
  }

  async #load(block: number): Promise<void> {
    const window = (this.#current + 1) % this.#blocks.length;
    this.#blocks[window] = undefined;
    const { source, size } = this;
    const rows = this.rowsOf(block);
    const pieceRows = Math.max(
      1,
      Math.floor(writeBytes / (padded(source.in_dims) * valueBytes[source.type])),
    );
    const moments = this.#counted.has(block) ? undefined : new RowMoments(source.in_dims);
    for (let row = 0; row < rows; row += pieceRows) {
      const end = Math.min(row + pieceRows, rows);
      const values = await source.read(block * size + row, block * size + end);
      if (this.#destroyed) {
        return;
      }
      checkRead(values, source, block * size + row, block * size + end);
      moments?.add(values);
      this.#write(window * size + row, values);
    }
    if (moments) {
      this.#loaded.set(block, moments);
    }
    this.#blocks[window] = block;
  }

  /** Writes rows to places, which may lie in several parts. */
  #write(place: number, values: StoredRows): void {
    const { in_dims } = this.source;
    const end = place + values.length / in_dims;
    const rowBytes = padded(in_dims) * values.BYTES_PER_ELEMENT;
    for (const { buffer, first, rows } of this.parts) {
      const from = Math.max(place, first);
      const to = Math.min(end, first + rows);
      if (from < to) {
        const own = values.subarray((from - place) * in_dims, (to - place) * in_dims);
        const bytes = padRows(own, in_dims) as StoredRows & ArrayBufferView<ArrayBuffer>;
        this.gpu.write(buffer, bytes, (from - first) * rowBytes);
      }
    }
  }
}

/** How kernels read the input of a batch that was gathered, [rows, in_dims]. */
export function gathered(step: GPUBuffer, batch: Tensor): BatchInput {
  const part = new Uint32Array([padded(batch.columns) / 4]);
  return { files: ['rows/batch.wgsl'], bindings: { step, part, batch }, batch };
}
