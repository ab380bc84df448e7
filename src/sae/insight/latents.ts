import { multiply } from '../../gpu/gemm/gemm.js';
import { Program } from '../../gpu/program.js';
import { Scope } from '../../gpu/scope.js';
import { padded, Tensor } from '../../gpu/tensor.js';
import { activeAbove } from '../model/activity.js';
import { ForwardPass, rowsAtATime } from '../model/forward-pass.js';
import type { Model } from '../model/model.js';
import { datasets, takeRows } from '../rows/blocks.js';
import { type Dataset, normalizedRows, sliceRows } from '../rows/dataset.js';
import type { DeviceRows, Rows } from '../rows/source.js';

/** How one latent responds to the rows of a data set. */
export interface LatentActivity {
  /** Share of the rows that it is active for: above 0 for ReLU, above 0.5 for sigmoid. */
  readonly density: number;
  /** Its mean activation over those rows; 0 where there are none. */
  readonly mean: number;
  /** Its largest activation. */
  readonly max: number;
  /** Of its activations above the threshold: `counts[i]` is the number of rows from `from + i * width` on. */
  readonly histogram: { readonly counts: readonly number[]; readonly from: number; readonly width: number };
  /** Its top-activating rows, the strongest first; only rows that it is active for. */
  readonly exciting: readonly { readonly row: number; readonly activation: number }[];
}

/** Rows that are encoded at a time, at most: few enough to be quick on a software adapter. */
const mostRows = 256;
/** Codes that are read at a time, at most: looking through more would keep a page from answering. */
const mostCodes = 2 ** 20;

/**
 * Encodes all rows and measures how one latent responds to them.
 * @param signal stops it between two blocks of rows, with the signal's reason.
 * @throws DataError if the rows have the wrong width.
 */
export async function latentActivity(
  model: Model,
  dataset: Dataset,
  latent: number,
  { bins = 24, top = 16, signal }: { bins?: number; top?: number; signal?: AbortSignal } = {},
): Promise<LatentActivity> {
  model.checkWidth(dataset);
  const { rows } = dataset;
  const activations = new Float32Array(rows);
  await Scope.during(async (scope) => {
    const pass = scope.use(await encoderPass(model, rows));
    const block = (first: number, end: number) => normalizedRows(sliceRows(dataset, first, end));
    let row = 0;
    for await (const codes of pass.blocks(rows, block)) {
      signal?.throwIfAborted();
      for (let i = latent; i < codes.length; i += model.hidden) {
        activations[row++] = codes[i];
      }
    }
  });
  return activityOf(activations, activeAbove(model.config), bins, top);
}

/** Encodes that many rows in blocks. */
export function encoderPass({ encoder, hidden }: Model, rows: number): Promise<ForwardPass> {
  const most = Math.max(1, Math.min(rows, mostRows, Math.floor(mostCodes / hidden)));
  return ForwardPass.create(encoder, rowsAtATime(encoder, most));
}

/**
 * Encodes all rows, which are read in blocks: the codes of some, [rows, hidden], with the number of the first of them.
 * @param signal stops it between two blocks of rows, with the signal's reason.
 * @throws DataError if a row is invalid; NonFiniteError; ClosedError.
 */
export async function* encodedRows(
  model: Model,
  source: DeviceRows,
  signal?: AbortSignal,
): AsyncGenerator<readonly [codes: Float32Array<ArrayBuffer>, first: number], void, void> {
  const scope = new Scope();
  try {
    const pass = scope.use(await encoderPass(model, source.rows));
    for await (const [block, first] of datasets(source)) {
      const some = (from: number, end: number) => normalizedRows(sliceRows(block, from, end), first + from);
      let row = first;
      for await (const codes of pass.blocks(block.rows, some)) {
        signal?.throwIfAborted();
        yield [codes, row];
        row += codes.length / model.hidden;
      }
    }
  } finally {
    scope.destroy();
  }
}

/**
 * Encodes some rows of a data set and gives for each latent, [hidden], the share of them that it is active for, as
 * `LatentActivity.density` does for one.
 * @param chosen the rows' numbers, at least one.
 * @throws DataError if the rows have the wrong width.
 */
export async function latentDensities(
  model: Model,
  rows: Rows,
  chosen: readonly number[],
): Promise<Float64Array> {
  model.checkWidth(rows);
  const { hidden } = model;
  const threshold = activeAbove(model.config);
  const counts = new Float64Array(hidden);
  await Scope.during(async (scope) => {
    const pass = scope.use(await encoderPass(model, chosen.length));
    const block = async (first: number, end: number) =>
      normalizedRows(await takeRows(rows, chosen.slice(first, end)));
    for await (const codes of pass.blocks(chosen.length, block)) {
      for (let i = 0; i < codes.length; i++) {
        if (codes[i] > threshold) counts[i % hidden] += 1;
      }
    }
  });
  return counts.map((count) => count / chosen.length);
}

function activityOf(activations: Float32Array, threshold: number, bins: number, top: number): LatentActivity {
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
 * The directions in input space of a model's latents, some latents at a time. Recorded once, with its buffers
 * kept; it uses the current weights, also during training.
 */
export class LatentPictures {
  /** The latent that is 1 in each row of the decoder's input. */
  #ones: readonly number[] = [];

  private constructor(
    readonly model: Model,
    /** Latents at a time, at most. */
    readonly count: number,
    readonly rows: Tensor,
    readonly product: Program,
    readonly products: readonly Tensor[],
    readonly decoder: ForwardPass,
    readonly scope: Scope,
  ) {}

  /** @throws LimitError, OutOfMemoryError. */
  static create(model: Model, count = model.hidden): Promise<LatentPictures> {
    return Scope.building(async (scope) => {
      const { gpu, encoder } = model;
      const last = encoder[encoder.length - 1];
      const below = encoder.slice(0, -1).reverse();
      const made = await gpu.allocate(`pictures of ${count} latents`, () => [
        scope.use(new Tensor(gpu, 'rows of weights', [count, last.inputs])),
        ...below.map(({ name, inputs }) =>
          scope.use(new Tensor(gpu, `weights down to ${name}`, [count, inputs])),
        ),
      ]);
      const product = scope.use(new Program(gpu));
      for (const [i, { weight }] of below.entries()) {
        await multiply(product, 'nn', made[i], weight, made[i + 1]);
      }
      await product.ready();
      const decoder = scope.use(await ForwardPass.create(model.decoder, count + 1));
      return new LatentPictures(model, count, made[0], product, made, decoder, scope);
    });
  }

  /**
   * Encoder directions, what each latent looks for: its weights, [latents, in_dims]. In a deeper encoder, the product
   * of its weights with those of the layers below, as if there were no activations between them.
   * @param which the first latent, after which as many follow as `count` says, or as there are; or the latents' own numbers, at most `count`.
   * @throws ClosedError.
   */
  async weights(which: number | readonly number[] = 0): Promise<Float32Array<ArrayBuffer>> {
    const { model, product, products } = this;
    const { encoder } = model;
    const latents = this.#latents(which);
    model.checkOpen();
    this.#gather(encoder[encoder.length - 1].weight, latents);
    product.submit();
    return products[products.length - 1].read(latents.length);
  }

  /**
   * Decoder directions, what each latent draws: the change of the reconstruction when the latent alone goes from 0 to
   * 1, [latents, in_dims].
   * @param which as for `weights`.
   */
  async drawings(which: number | readonly number[] = 0): Promise<Float32Array<ArrayBuffer>> {
    const { model, decoder, count } = this;
    const { hidden, config } = model;
    const latents = this.#latents(which);
    const [{ weight, byLatents }, ...above] = model.decoder;
    if (byLatents && above.length === 0 && !model.rescaling) {
      model.checkOpen();
      this.#gather(weight, latents);
      return this.rows.read(latents.length);
    }
    const stride = padded(hidden);
    const set = (row: number, latent: number, value: number) =>
      model.gpu.write(decoder.input.buffer, Float32Array.of(value), 4 * (row * stride + latent));
    // The last row stays the code of zeros.
    latents.forEach((latent, row) => {
      if (this.#ones[row] !== latent) {
        if (this.#ones[row] !== undefined) set(row, this.#ones[row], 0);
        set(row, latent, 1);
      }
    });
    this.#ones = [...latents, ...this.#ones.slice(latents.length)];
    decoder.program.submit();
    const drawn = await decoder.output.read();
    const nothing = drawn.subarray(count * config.in_dims);
    const drawings = drawn.subarray(0, latents.length * config.in_dims);
    for (let i = 0; i < drawings.length; i++) {
      drawings[i] -= nothing[i % config.in_dims];
    }
    return drawings;
  }

  /** Frees its buffers on the device; the model stays. */
  close(): void {
    this.scope.destroy();
  }

  #latents(which: number | readonly number[]): readonly number[] {
    const { count, model } = this;
    return typeof which === 'number'
      ? Array.from({ length: Math.min(count, model.hidden - which) }, (_, i) => which + i)
      : which.slice(0, count);
  }

  /** Copies the rows of a weight that belong to some latents. */
  #gather(weight: Tensor, latents: readonly number[]): void {
    const { gpu } = this.model;
    const bytes = padded(weight.columns) * 4;
    const commands = gpu.device.createCommandEncoder();
    latents.forEach((latent, row) => {
      commands.copyBufferToBuffer(weight.buffer, latent * bytes, this.rows.buffer, row * bytes, bytes);
    });
    gpu.device.queue.submit([commands.finish()]);
  }
}
