import { Scope } from '../../gpu/scope.js';
import { activeAbove } from '../model/activity.js';
import type { ForwardPass } from '../model/forward-pass.js';
import type { Model } from '../model/model.js';
import { sampleRows } from '../model/random.js';
import { takeRows } from '../rows/blocks.js';
import { normalizedRows } from '../rows/dataset.js';
import type { Rows } from '../rows/source.js';
import { encoderPass } from './latents.js';

/** Rows on which densities are measured. */
const measuredRows = 1024;
/** Epochs that are kept after the first, at most. */
const mostEpochs = 50;

/** Densities of all latents as a model is trained, on a sample of the rows. */
export class DensityHistory {
  readonly #epochs: number[] = [];
  readonly #densities: Float32Array<ArrayBuffer>[] = [];

  private constructor(
    readonly model: Model,
    readonly values: Float32Array<ArrayBuffer>,
    readonly rows: number,
    readonly epochs: number,
    /** @internal */
    readonly pass: ForwardPass,
    readonly scope: Scope,
  ) {}

  /**
   * Reads the sample, which the seed chooses.
   * @param epochs of the whole training. @param before the history of the training so far.
   * @throws DataError, LimitError, OutOfMemoryError.
   */
  static create(
    model: Model,
    rows: Rows,
    epochs: number,
    seed: number,
    before?: DensityHistory['history'],
  ): Promise<DensityHistory> {
    return Scope.building(async (scope) => {
      const numbers = sampleRows(rows.rows, measuredRows, seed);
      const values = normalizedRows(await takeRows(rows, numbers));
      const pass = scope.use(await encoderPass(model, numbers.length));
      const history = new DensityHistory(model, values, numbers.length, epochs, pass, scope);
      before?.epochs.forEach((epoch, i) => {
        history.#epochs.push(epoch);
        history.#densities.push(before.densities.slice(i * model.hidden, (i + 1) * model.hidden));
      });
      return history;
    });
  }

  /** Measures the model as it is after an epoch, if that one is kept: all of few, else the first, the last, and some that are spread evenly. */
  async add(epoch: number): Promise<void> {
    const point = (of: number) => Math.floor((of * Math.min(mostEpochs, this.epochs)) / this.epochs);
    if (epoch > 1 && point(epoch) === point(epoch - 1)) return;
    const { hidden, config } = this.model;
    const { in_dims } = config;
    const threshold = activeAbove(config);
    const densities = new Float32Array(hidden);
    const block = (first: number, end: number) => this.values.subarray(first * in_dims, end * in_dims);
    for await (const codes of this.pass.blocks(this.rows, block)) {
      for (let i = 0; i < codes.length; i++) if (codes[i] > threshold) densities[i % hidden] += 1 / this.rows;
    }
    this.#epochs.push(epoch);
    this.#densities.push(densities);
  }

  /** The epochs that are kept, and the densities after each, [epochs, hidden]. Undefined if there is none. */
  get history():
    | { readonly epochs: readonly number[]; readonly densities: Float32Array<ArrayBuffer> }
    | undefined {
    const { hidden } = this.model;
    if (this.#epochs.length === 0) return undefined;
    const densities = new Float32Array(this.#epochs.length * hidden);
    for (const [i, some] of this.#densities.entries()) densities.set(some, i * hidden);
    return { epochs: this.#epochs, densities };
  }

  /** Frees its buffers on the device. */
  close(): void {
    this.scope.destroy();
  }
}
