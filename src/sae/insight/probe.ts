import { Scope } from '../../gpu/scope.js';
import { ForwardPass } from '../model/forward-pass.js';
import type { Model } from '../model/model.js';
import { type Dataset, normalizedRows } from '../rows/dataset.js';
import { largest } from './largest.js';

/** The latents with the largest activations in a row's code, [hidden], largest first; `wanted` is always among them. */
export function strongestLatents(codes: Float32Array, count: number, wanted: number): number[] {
  const latents = largest(codes, count);
  return latents.includes(wanted) ? latents : [...latents.slice(0, -1), wanted];
}

/** A row's code, [hidden], with given activations of some latents and with others switched off. */
export function intervened(
  codes: Float32Array<ArrayBuffer>,
  given: ReadonlyMap<number, number>,
  off: ReadonlySet<number>,
): Float32Array<ArrayBuffer> {
  return codes.map((code, latent) => (off.has(latent) ? 0 : (given.get(latent) ?? code)));
}

/** Codes of rows, [rows, hidden], and their reconstructions, [rows, in_dims], both as the model has them. */
export interface Reconstructed {
  readonly codes: Float32Array<ArrayBuffer>;
  readonly reconstructions: Float32Array<ArrayBuffer>;
}

/**
 * A model's forward pass for a few rows at a time. Recorded once, with its buffers kept; it uses the current weights,
 * also during training, and calls may overlap.
 */
export class Probe {
  private constructor(
    readonly model: Model,
    /** Rows at a time, at most. */
    readonly rows: number,
    readonly encoder: ForwardPass,
    readonly decoder: ForwardPass,
    readonly scope: Scope,
  ) {}

  /** @throws LimitError, OutOfMemoryError. */
  static create(model: Model, rows = 1): Promise<Probe> {
    return Scope.building(async (scope) => {
      const encoder = scope.use(await ForwardPass.create(model.encoder, rows));
      const decoder = scope.use(await ForwardPass.create(model.decoder, rows, encoder.output));
      return new Probe(model, rows, encoder, decoder, scope);
    });
  }

  /** Codes of rows, [rows, hidden]. @throws DataError if the rows have the wrong width. */
  async encode(dataset: Dataset): Promise<Float32Array<ArrayBuffer>> {
    this.#check(dataset);
    return this.encoder.run(normalizedRows(dataset), dataset.rows);
  }

  /** Reconstructions of codes [rows, hidden], in the model's normalised latents: [rows, in_dims]. */
  async decode(codes: Float32Array<ArrayBuffer>): Promise<Float32Array<ArrayBuffer>> {
    return this.decoder.run(codes, this.#atMost(codes.length / this.model.hidden));
  }

  /** Both in one go: codes [rows, hidden] and their reconstructions [rows, in_dims]. @throws DataError as `encode`. */
  async reconstruct(dataset: Dataset): Promise<Reconstructed> {
    this.#check(dataset);
    return this.run(normalizedRows(dataset), dataset.rows);
  }

  /**
   * The same of normalised rows, [rows, in_dims].
   * @param first the number of the first row in messages.
   * @throws NonFiniteError.
   */
  async run(values: Float32Array<ArrayBuffer>, rows: number, first = 0): Promise<Reconstructed> {
    const running = this.encoder.run(values, this.#atMost(rows), first);
    this.decoder.program.submit();
    const [codes, reconstructions] = await Promise.all([running, this.decoder.read(rows, first)]);
    return { codes, reconstructions };
  }

  /** Frees its buffers on the device; the model stays. */
  close(): void {
    this.scope.destroy();
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
