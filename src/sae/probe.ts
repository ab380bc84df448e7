import { type Dataset, normalizedRows } from './dataset.js';
import type { Model } from './model.js';
import { Pass } from './pass.js';

/** The units with the largest of a row's codes, [hidden], the strongest first; `wanted` is one of them in any case. */
export function strongestUnits(codes: Float32Array, count: number, wanted: number): number[] {
  const units = [...codes.keys()].sort((a, b) => codes[b] - codes[a] || a - b).slice(0, count);
  return units.includes(wanted) ? units : [...units.slice(0, -1), wanted];
}

/** A row's codes, [hidden], with some units' activations given and some units switched off. */
export function intervened(
  codes: Float32Array<ArrayBuffer>,
  given: ReadonlyMap<number, number>,
  off: ReadonlySet<number>,
): Float32Array<ArrayBuffer> {
  return codes.map((code, unit) => (off.has(unit) ? 0 : (given.get(unit) ?? code)));
}

/**
 * A model's forward pass for a few rows, to be looked at often: recorded once, with its buffers kept. It sees the
 * weights of the moment, also while they are trained, and calls may overlap.
 */
export class Probe {
  private constructor(
    readonly model: Model,
    /** Rows that it takes at most. */
    readonly rows: number,
    readonly encoder: Pass,
    readonly decoder: Pass,
  ) {}

  /** @throws LimitError, OutOfMemoryError. */
  static async create(model: Model, rows = 1): Promise<Probe> {
    const encoder = await Pass.create(model.encoder, rows);
    try {
      return new Probe(model, rows, encoder, await Pass.create(model.decoder, rows, encoder.output));
    } catch (error) {
      encoder.destroy();
      throw error;
    }
  }

  /** The last encoder layer's activations, [rows, hidden]. @throws DataError where the rows have another width. */
  async encode(dataset: Dataset): Promise<Float32Array<ArrayBuffer>> {
    this.#check(dataset);
    return this.encoder.run(normalizedRows(dataset), dataset.rows);
  }

  /** Reconstructions of codes [rows, hidden], in the model's normalised units: [rows, in_dims]. */
  async decode(codes: Float32Array<ArrayBuffer>): Promise<Float32Array<ArrayBuffer>> {
    return this.decoder.run(codes, this.#atMost(codes.length / this.model.hidden));
  }

  /** Both in one go: codes [rows, hidden] and their reconstructions [rows, in_dims]. @throws DataError as `encode`. */
  async reconstruct(
    dataset: Dataset,
  ): Promise<{ codes: Float32Array<ArrayBuffer>; reconstructions: Float32Array<ArrayBuffer> }> {
    this.#check(dataset);
    const running = this.encoder.run(normalizedRows(dataset), dataset.rows);
    this.decoder.program.submit();
    const [codes, reconstructions] = await Promise.all([running, this.decoder.output.read(dataset.rows)]);
    return { codes, reconstructions };
  }

  /** Frees its buffers on the device; the model stays. */
  close(): void {
    this.encoder.destroy();
    this.decoder.destroy();
  }

  #check(dataset: Dataset): void {
    this.model.checkWidth(dataset);
    this.#atMost(dataset.rows);
  }

  #atMost(rows: number): number {
    if (!Number.isInteger(rows) || rows < 1 || rows > this.rows) {
      throw new RangeError(`a probe of ${this.rows} rows cannot take ${rows}`);
    }
    return rows;
  }
}
