import { multiply } from '../gpu/gemm.js';
import { Program } from '../gpu/program.js';
import { padded, Tensor } from '../gpu/tensor.js';
import { type Dataset, normalizedRows, sliceRows } from './dataset.js';
import type { Model } from './model.js';
import { Pass } from './pass.js';

/** How one hidden unit responds to the rows of a data set. */
export interface UnitActivity {
  /** Share of the rows that it is active for: above 0 for ReLU, above 0.5 for sigmoid. */
  readonly density: number;
  /** Its mean activation where it is active; 0 where it never is. */
  readonly mean: number;
  /** Its largest activation. */
  readonly max: number;
  /** Rows by activation, of those that it is active for: `counts[i]` from `from + i * width` on. */
  readonly histogram: { readonly counts: readonly number[]; readonly from: number; readonly width: number };
  /** The rows that excite it most, the first one most of all; none that it is not active for. */
  readonly exciting: readonly { readonly row: number; readonly activation: number }[];
}

/** Rows that are encoded at a time, few enough to be quick on a software adapter. */
const rowsAtATime = 256;

/**
 * Sends all rows through the encoder and tells how one of its last layer's units responds.
 * @param signal stops it between two blocks of rows, with the signal's reason.
 * @throws DataError where the rows have another width.
 */
export async function unitActivity(
  model: Model,
  dataset: Dataset,
  unit: number,
  { bins = 24, top = 16, signal }: { bins?: number; top?: number; signal?: AbortSignal } = {},
): Promise<UnitActivity> {
  model.checkWidth(dataset);
  const { rows } = dataset;
  const activations = new Float32Array(rows);
  const pass = await Pass.create(model.encoder, Math.min(rows, rowsAtATime));
  try {
    const block = (first: number, end: number) => normalizedRows(sliceRows(dataset, first, end));
    let row = 0;
    for await (const codes of pass.blocks(rows, block)) {
      signal?.throwIfAborted();
      for (let i = unit; i < codes.length; i += model.hidden) {
        activations[row++] = codes[i];
      }
    }
  } finally {
    pass.destroy();
  }
  return activityOf(activations, model.config.activation === 'sigmoid' ? 0.5 : 0, bins, top);
}

function activityOf(activations: Float32Array, threshold: number, bins: number, top: number): UnitActivity {
  const active = [...activations.keys()].filter((row) => activations[row] > threshold);
  const max = activations.reduce((most, value) => Math.max(most, value), 0);
  const width = active.length > 0 ? (max - threshold) / bins : 0;
  const counts = new Array<number>(bins).fill(0);
  let sum = 0;
  for (const row of active) {
    sum += activations[row];
    counts[Math.min(bins - 1, Math.floor((activations[row] - threshold) / width))] += 1;
  }
  const exciting = active.sort((a, b) => activations[b] - activations[a] || a - b).slice(0, top);
  return {
    density: active.length / activations.length,
    mean: active.length > 0 ? sum / active.length : 0,
    max,
    histogram: { counts, from: threshold, width },
    exciting: exciting.map((row) => ({ row, activation: activations[row] })),
  };
}

/**
 * Pictures of a model's hidden units, a range of them at a time: recorded once, with its buffers kept. It sees the
 * weights of the moment, also while they are trained.
 */
export class UnitPictures {
  #codesOf: number | undefined;

  private constructor(
    readonly model: Model,
    /** Units at a time, at most. */
    readonly count: number,
    readonly rows: Tensor,
    readonly product: Program,
    readonly products: readonly Tensor[],
    readonly decoder: Pass,
  ) {}

  /** @throws LimitError, OutOfMemoryError. */
  static async create(model: Model, count = model.hidden): Promise<UnitPictures> {
    const { gpu, encoder } = model;
    const last = encoder[encoder.length - 1];
    const below = encoder.slice(0, -1).reverse();
    const made = await gpu.allocate(`pictures of ${count} units`, () => [
      new Tensor(gpu, 'rows of weights', [count, last.inputs]),
      ...below.map(({ name, inputs }) => new Tensor(gpu, `weights down to ${name}`, [count, inputs])),
    ]);
    const product = new Program(gpu);
    try {
      for (const [i, { weight }] of below.entries()) {
        await multiply(product, 'nn', made[i], weight, made[i + 1]);
      }
      await product.ready();
      const decoder = await Pass.create(model.decoder, count + 1);
      return new UnitPictures(model, count, made[0], product, made, decoder);
    } catch (error) {
      for (const owned of [product, ...made]) {
        owned.destroy();
      }
      throw error;
    }
  }

  /**
   * What each unit looks for, [units, in_dims]: its weights. In a deeper encoder, the product of its weights with those
   * of the layers below: what it would look for if no activation lay between them.
   * @param first the first unit; as many as `count` says, or as there are.
   */
  async weights(first = 0): Promise<Float32Array<ArrayBuffer>> {
    const { model, rows, product, products } = this;
    const { gpu, encoder } = model;
    const units = this.#units(first);
    const rowBytes = padded(rows.columns) * 4;
    const { weight } = encoder[encoder.length - 1];
    const commands = gpu.device.createCommandEncoder();
    commands.copyBufferToBuffer(weight.buffer, first * rowBytes, rows.buffer, 0, units * rowBytes);
    gpu.device.queue.submit([commands.finish()]);
    product.submit();
    return products[products.length - 1].read(units);
  }

  /**
   * What each unit draws, [units, in_dims]: by how much the reconstruction changes when it alone goes from 0 to 1.
   * @param first as for `weights`.
   */
  async drawings(first = 0): Promise<Float32Array<ArrayBuffer>> {
    const { model, decoder, count } = this;
    const { hidden, config } = model;
    const units = this.#units(first);
    if (this.#codesOf !== first) {
      // The last row stays at 0 throughout.
      const codes = new Float32Array((count + 1) * hidden);
      for (let i = 0; i < units; i++) {
        codes[i * hidden + first + i] = 1;
      }
      decoder.input.write(codes);
      this.#codesOf = first;
    }
    decoder.program.submit();
    const drawn = await decoder.output.read();
    const nothing = drawn.subarray(count * config.in_dims);
    const drawings = drawn.subarray(0, units * config.in_dims);
    for (let i = 0; i < drawings.length; i++) {
      drawings[i] -= nothing[i % config.in_dims];
    }
    return drawings;
  }

  /** Frees its buffers on the device; the model stays. */
  close(): void {
    for (const owned of [this.product, ...this.products, this.decoder]) {
      owned.destroy();
    }
  }

  #units(first: number): number {
    return Math.min(this.count, this.model.hidden - first);
  }
}
