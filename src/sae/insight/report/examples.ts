import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { type Random, randomPair } from '../../model/random.js';
import { TopRows } from '../top-rows.js';
import { exampleGroups, examplesOfLatent, histogramBins, none } from './layout.js';

/** Rows of which the quarters' examples are taken. */
const sampled = 64;
const [strongest, ...quarters] = exampleGroups;

/** A row and the latent's activation for it. */
interface Example {
  readonly row: number;
  readonly activation: number;
}

/** Histograms of latents' activations, their top-activating rows, and a sample of the rows that each is active for. */
export class Examples {
  readonly histogram: Uint32Array<ArrayBuffer>;
  readonly #top: TopRows;
  /** By latent: places of the sample with a row and an activation each. */
  readonly #rows: Uint32Array;
  readonly #activations: Float32Array;
  readonly #random: Random;

  /** @param max the largest activation of each latent, [hidden]. @param threshold above which a latent is active. */
  constructor(
    readonly hidden: number,
    readonly max: Float32Array,
    readonly threshold: number,
    seed: number,
  ) {
    this.histogram = new Uint32Array(hidden * histogramBins);
    this.#top = new TopRows(hidden, strongest.count, threshold);
    this.#rows = new Uint32Array(hidden * sampled);
    this.#activations = new Float32Array(hidden * sampled);
    this.#random = randomPair(seed).forOrder;
  }

  /** Adds the code of a row, [hidden]. Rows come in ascending order. @param latents that are active for it. */
  add(row: number, code: Float32Array, latents: readonly number[]): void {
    const { threshold, max } = this;
    for (const latent of latents) {
      const activation = code[latent];
      const share = (activation - threshold) / (max[latent] - threshold);
      this.histogram[
        latent * histogramBins + Math.min(histogramBins - 1, Math.floor(share * histogramBins))
      ] += 1;
      // Each row that it is active for is in the sample with the same chance (Vitter's algorithm R, 1985).
      const count = this.#top.count(latent);
      this.#top.addActive(latent, activation, row);
      const place = count < sampled ? count : uniformInt(this.#random, 0, count);
      if (place < sampled) {
        this.#rows[latent * sampled + place] = row;
        this.#activations[latent * sampled + place] = activation;
      }
    }
  }

  /** Rows and activations of each latent's examples, [hidden, examplesOfLatent]; `none` where there are fewer. */
  get examples(): { readonly rows: Uint32Array<ArrayBuffer>; readonly values: Float32Array<ArrayBuffer> } {
    const rows = new Uint32Array(this.hidden * examplesOfLatent).fill(none);
    const values = new Float32Array(this.hidden * examplesOfLatent);
    for (let latent = 0; latent < this.hidden; latent++) {
      let at = latent * examplesOfLatent;
      for (const [group, { count }] of exampleGroups.entries()) {
        const some = group === 0 ? this.#top.of(latent) : this.#quarter(latent, group - 1, count);
        some.forEach(({ row, activation }, i) => {
          rows[at + i] = row;
          values[at + i] = activation;
        });
        at += count;
      }
    }
    return { rows, values };
  }

  /** Some of a quarter of the sample, which is ordered by activation, spread evenly: the strongest first. */
  #quarter(latent: number, quarter: number, count: number): Example[] {
    const size = Math.min(sampled, this.#top.count(latent));
    const sample = Array.from({ length: size }, (_, i) => ({
      row: this.#rows[latent * sampled + i],
      activation: this.#activations[latent * sampled + i],
    })).sort((a, b) => b.activation - a.activation || a.row - b.row);
    // Of fewer than four rows, the strongest are in the quarters above.
    const edge = (of: number) => Math.ceil((of * size) / quarters.length);
    const own = sample.slice(edge(quarter), edge(quarter + 1));
    const shown = Math.min(count, own.length);
    return Array.from({ length: shown }, (_, i) => own[Math.floor(((i + 0.5) * own.length) / shown)]);
  }
}
