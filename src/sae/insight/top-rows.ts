import { activeAbove, denseAbove } from '../model/activity.js';
import type { Model } from '../model/model.js';
import { type Rows, rowSource } from '../rows/source.js';
import { encodedRows, type LatentActivity } from './latents.js';

/** How often a latent is active, and its top-activating rows. */
export type LatentTop = Pick<LatentActivity, 'density' | 'exciting'>;

/**
 * Encodes all rows once and gives each latent's density and top-activating rows, [hidden]: the strongest first, of equal
 * ones the first. Rows are read in blocks, and for each latent only its top ones are kept.
 * @throws DataError if the rows are invalid or have the wrong width; NonFiniteError; ClosedError.
 */
export async function topRows(
  model: Model,
  rows: Rows,
  {
    top = 10,
    signal,
    progress,
  }: {
    /** Rows of a latent, at most. */
    top?: number;
    /** Stops it between two blocks of rows, with the signal's reason. */
    signal?: AbortSignal;
    /** Is called with the rows done. */
    progress?: (rows: number) => void;
  } = {},
): Promise<LatentTop[]> {
  model.checkWidth(rows);
  const source = rowSource(rows);
  const { hidden } = model;
  const best = new TopRows(hidden, top, activeAbove(model.config));
  for await (const [codes, first] of encodedRows(model, source, signal)) {
    let row = first;
    for (let at = 0; at < codes.length; at += hidden) best.add(codes, at, row++);
    progress?.(row);
  }
  return Array.from({ length: hidden }, (_, latent) => {
    return { density: best.count(latent) / source.rows, exciting: best.of(latent) };
  });
}

/** The largest activations of each latent so far, and for how many rows it was active. */
export class TopRows {
  readonly #activations: Float32Array;
  readonly #rows: Float64Array;
  readonly #counts: Float64Array;
  /** What a latent's next activation must exceed to be among its largest. */
  readonly #bars: Float32Array;

  constructor(
    readonly hidden: number,
    readonly top: number,
    readonly threshold: number,
  ) {
    this.#activations = new Float32Array(hidden * top);
    this.#rows = new Float64Array(hidden * top);
    this.#counts = new Float64Array(hidden);
    this.#bars = new Float32Array(hidden).fill(threshold);
  }

  /** Adds the codes of a row, which begin at `at`. Of equal activations, the one of the lower row counts more. */
  add(codes: Float32Array, at: number, row: number): void {
    const { hidden, threshold } = this;
    for (let latent = 0; latent < hidden; latent++) {
      const value = codes[at + latent];
      if (value > threshold) this.addActive(latent, value, row);
    }
  }

  /** Adds the activation of a latent that is active for a row. */
  addActive(latent: number, activation: number, row: number): void {
    if (activation >= this.#bars[latent]) this.#insert(latent, activation, row);
    this.#counts[latent] += 1;
  }

  #insert(latent: number, value: number, row: number): void {
    const { top } = this;
    const first = latent * top;
    const filled = Math.min(top, this.#counts[latent]);
    const comesBefore = (place: number) =>
      value > this.#activations[place] || (value === this.#activations[place] && row < this.#rows[place]);
    let place = first + filled;
    // The last one falls out where all places are taken.
    if (filled === top) {
      place -= 1;
      if (!comesBefore(place)) return;
    }
    for (; place > first && comesBefore(place - 1); place--) {
      this.#activations[place] = this.#activations[place - 1];
      this.#rows[place] = this.#rows[place - 1];
    }
    this.#activations[place] = value;
    this.#rows[place] = row;
    if (filled >= top - 1) this.#bars[latent] = this.#activations[first + top - 1];
  }

  /** Rows that a latent was active for. */
  count(latent: number): number {
    return this.#counts[latent];
  }

  /** Its top-activating rows, the strongest first, of equal ones the first. */
  of(latent: number): LatentTop['exciting'] {
    const first = latent * this.top;
    return Array.from({ length: Math.min(this.top, this.#counts[latent]) }, (_, i) => ({
      row: this.#rows[first + i],
      activation: this.#activations[first + i],
    }));
  }
}

/**
 * Some latents that are neither dead nor dense, spread evenly over the order of their densities: their numbers from 0, the
 * most active first.
 */
export function spreadLatents(latents: readonly Pick<LatentTop, 'density'>[], count: number): number[] {
  const ordered = [...latents.keys()]
    .filter((latent) => latents[latent].density > 0 && latents[latent].density <= denseAbove)
    .sort((a, b) => latents[b].density - latents[a].density || a - b);
  const shown = Math.min(count, ordered.length);
  return Array.from({ length: shown }, (_, i) => ordered[Math.floor(((i + 0.5) * ordered.length) / shown)]);
}
