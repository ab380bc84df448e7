import type { Device } from '../../gpu/device.js';
import type { Bindings, Program } from '../../gpu/program.js';
import { Scope } from '../../gpu/scope.js';
import { padded, putPadded, type Tensor } from '../../gpu/tensor.js';
import { Uploads } from '../../gpu/uploads.js';
import { DataError } from '../errors.js';
import { blocks, inPieces } from './blocks.js';
import { type Runs, WindowSizes } from './chunks.js';
import { grouped } from './formats/array.js';
import { type MomentsState, RowMoments } from './moments.js';
import { type DeviceRows, type StoredRows, valueBytes } from './source.js';

/** How kernels read a batch's input: WGSL files and what they bind. */
export interface BatchInput {
  /** WGSL files that provide `input_at`. */
  readonly files: readonly string[];
  readonly bindings: Bindings;
  /** The batch, [rows, in_dims], if it is gathered first: then it can also be read as any other matrix. */
  readonly batch?: Tensor;
}

/** Bytes on their way to the device, at most: what is written while it ends two submits of steps. */
const onTheirWay = { software: 2 ** 24, gpu: 2 ** 26 };
/** Bytes that are submitted together. */
const uploadBytes = 2 ** 22;
/** Rows per invocation of `rows/gather.wgsl`, and invocations per workgroup, which lie along columns. */
const gatherRows = 8;
const gatherColumns = 32;

/** Of less, squared errors in f32 lose all digits: the smallest normal number is 1.2e-38. */
const smallestVariance = 1e-34;

/** Bytes of a row on the device. */
export function rowBytesOf({ in_dims, type }: Pick<DeviceRows, 'in_dims' | 'type'>): number {
  return padded(in_dims) * valueBytes[type];
}

function orderOf(rows: number): string {
  return `The order of ${grouped(rows)} rows at a time`;
}

/** The moments of the windows that steps have read so far in their first pass, as they are stored. */
export interface Spread extends MomentsState {
  /** How many windows these are. */
  readonly windows: number;
}

/** A buffer with places for rows, from place `first` on. */
interface Part {
  readonly buffer: GPUBuffer;
  readonly first: number;
  readonly rows: number;
}

/**
 * Rows on the device, with the order in which steps take them. If all of the source's rows fit, there is one window, loaded
 * once. Otherwise there are two: steps read one while the other is filled, and writes to a window follow the steps that
 * read it before. Windows are numbered over all passes.
 */
export class Windows {
  /** The places of the rows, in the order of the steps. */
  readonly order: GPUBuffer;
  /** The number of the window in each place. */
  readonly #numbers: (number | undefined)[];
  /** The moments of windows that were loaded, and are not among those of `#moments` yet. */
  readonly #loaded = new Map<number, RowMoments>();
  /** Of the first pass's windows that steps have read, and how many these are. */
  #moments: RowMoments;
  #counted = 0;
  /** The place that steps read. */
  #current = 0;
  #loading: { readonly number: number; readonly done: Promise<void> } | undefined;
  readonly #uploads: Uploads;
  /** What rows are read into. */
  readonly #memory: StoredRows[] = [];
  #destroyed = false;

  private constructor(
    readonly gpu: Device,
    readonly source: DeviceRows,
    readonly sizes: WindowSizes,
    readonly parts: readonly Part[],
    readonly scope: Scope,
  ) {
    this.#moments = new RowMoments(source.in_dims);
    this.#numbers = new Array(Math.min(2, sizes.count)).fill(undefined);
    const rowBytes = rowBytesOf(source);
    const each = Math.min(Math.max(uploadBytes, rowBytes), sizes.size * rowBytes);
    const most = (gpu.software ? onTheirWay.software : onTheirWay.gpu) / uploadBytes;
    this.#uploads = scope.use(new Uploads(gpu, padded(each), most));
    const bytes = sizes.size * 4;
    this.order = scope.adopt(gpu.buffer(orderOf(sizes.size), bytes), (buffer) => gpu.free(buffer));
  }

  /** Checks that the rows can be on the device, before anything is made. @throws LimitError. */
  static checkSizes(gpu: Device, source: DeviceRows, size: number): void {
    gpu.checkSize(`A row of ${source.name}`, rowBytesOf(source));
    gpu.checkSize(orderOf(size), size * 4);
  }

  /**
   * Makes room for rows, and loads them if all of them fit.
   * @param size rows per window; by default all.
   * @throws LimitError, OutOfMemoryError, and whatever the source throws.
   */
  static create(gpu: Device, source: DeviceRows, size = source.rows): Promise<Windows> {
    return Scope.building(async (scope) => {
      const rowBytes = rowBytesOf(source);
      const most = Math.max(1, Math.floor(gpu.largestBuffer / rowBytes));
      const places = size < source.rows ? 2 * size : source.rows;
      const windows = await gpu.allocate(`${places} rows of ${source.name}`, () => {
        const parts: Part[] = [];
        for (let first = 0; first < places; first += most) {
          const rows = Math.min(most, places - first);
          const buffer = gpu.buffer(`A row of ${source.name}`, rows * rowBytes);
          parts.push({ buffer: scope.adopt(buffer, (owned) => gpu.free(owned)), first, rows });
        }
        return new Windows(gpu, source, WindowSizes.of(source, size), parts, scope);
      });
      if (windows.sizes.count === 1) {
        await windows.load(0, [[0, source.rows]]);
        windows.#uploads.destroy();
        windows.#memory.length = 0;
      }
      return windows;
    });
  }

  /** Whether a window's rows are on the device. */
  has(number: number): boolean {
    return this.#placeOf(number) >= 0;
  }

  /** Loads a window's rows into the unused place, unless they are on the device. Loads run one after another. */
  load(number: number, runs: Runs): Promise<void> {
    if (this.has(number)) {
      return Promise.resolve();
    }
    if (this.#loading?.number !== number) {
      const before = this.#loading?.done.catch(() => {});
      const done = Promise.resolve(before).then(() => this.#load(number, runs));
      // The caller gets the failure; the next call reads the rows again.
      done.catch(() => {
        if (this.#loading?.done === done) {
          this.#loading = undefined;
        }
      });
      this.#loading = { number, done };
    }
    return this.#loading.done;
  }

  /** Makes steps read a window. @param order of the rows within it. @throws RangeError if it is not loaded. */
  open(number: number, order: Uint32Array<ArrayBuffer>): void {
    const place = this.#placeOf(number);
    if (place < 0) {
      throw new RangeError(`window ${number} is not on the device`);
    }
    this.#current = place;
    this.#count(number);
    const { variance, source } = this;
    if (variance > 0 && variance < smallestVariance) {
      throw new DataError(
        `The rows of ${source.name} differ by no more than about ${Math.sqrt(variance).toExponential(0)}, whose squares are 0 in f32, so nothing ` +
          'could be learned from them. Scale them up, for example with normalize unit.',
      );
    }
    const first = place * this.sizes.size;
    const places = first === 0 ? order : order.map((row) => first + row);
    this.gpu.write(this.order, places);
  }

  /**
   * The mean, over values and the rows of the windows that were opened, of the squared distance from each value's mean, in
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
    return { rows, squares, mean: mean.slice(), windows: this.#counted };
  }

  /** Replaces that by another's of the same rows. @throws DataError if it has another width. */
  restoreSpread({ windows, ...moments }: Spread): void {
    const { in_dims } = this.source;
    if (moments.mean.length !== in_dims) {
      throw new DataError(
        `The snapshot has the means of ${moments.mean.length} values; expected ${in_dims}. Resume it unchanged.`,
      );
    }
    this.#moments = new RowMoments(in_dims);
    this.#moments.merge(moments);
    this.#counted = windows;
  }

  /** One window has the rows of every pass. */
  #placeOf(number: number): number {
    return this.#numbers.indexOf(this.sizes.count === 1 ? 0 : number);
  }

  #count(number: number): void {
    const moments = this.#loaded.get(number);
    this.#loaded.delete(number);
    if (moments && number === this.#counted) {
      this.#moments.merge(moments);
      this.#counted += 1;
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

  async #load(number: number, runs: Runs): Promise<void> {
    const place = (this.#current + 1) % this.#numbers.length;
    this.#numbers[place] = undefined;
    const { source, sizes } = this;
    // Each row is counted once.
    const counted = number >= this.#counted && number < sizes.count;
    const moments = counted ? new RowMoments(source.in_dims) : undefined;
    let row = place * sizes.size;
    for await (const { values, rows } of blocks(source, inPieces(runs, rowBytesOf(source)), this.#memory)) {
      if (this.#destroyed) {
        return;
      }
      moments?.add(values);
      await this.#write(row, values);
      row += rows;
    }
    this.#uploads.send();
    if (moments) {
      this.#loaded.set(number, moments);
    }
    this.#numbers[place] = number;
  }

  /** Writes rows to places, which may lie in several parts. */
  async #write(place: number, values: StoredRows): Promise<void> {
    const { in_dims } = this.source;
    const end = place + values.length / in_dims;
    const rowBytes = padded(in_dims) * values.BYTES_PER_ELEMENT;
    for (const { buffer, first, rows } of this.parts) {
      const from = Math.max(place, first);
      const to = Math.min(end, first + rows);
      if (from < to) {
        const own = values.subarray((from - place) * in_dims, (to - place) * in_dims);
        const bytes = (to - from) * rowBytes;
        await this.#uploads.write(buffer, (from - first) * rowBytes, bytes, (memory, begin) => {
          const into = own instanceof Uint8Array ? Uint8Array : Float32Array;
          putPadded(own, in_dims, new into(memory, begin, bytes / own.BYTES_PER_ELEMENT));
        });
      }
    }
  }
}

/** How kernels read the input of a batch that was gathered, [rows, in_dims]. */
export function gathered(step: GPUBuffer, batch: Tensor): BatchInput {
  const part = new Uint32Array([padded(batch.columns) / 4]);
  return { files: ['rows/batch.wgsl'], bindings: { step, part, batch }, batch };
}
