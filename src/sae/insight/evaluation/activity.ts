import { denseAbove } from '../../model/activity.js';

/** How often latents are active, and how many of a row. */
export interface ActivityFigures {
  /** L0: active latents of a row, in the mean. */
  readonly active: number;
  /** L0 by share of the rows: so many latents are active in a row, or fewer. */
  readonly active_quantiles: Readonly<Record<Quantile, number>>;
  /** The mean over rows of Σ|z|. */
  readonly l1: number;
  /** Latents that are active for no row. */
  readonly dead: number;
  /** Latents that are active for more than a tenth of the rows. */
  readonly dense: number;
  /** Latents by their density, the share of rows that they are active for: `counts[i]` are above `edges[i]`, up to `edges[i + 1]`. Dead ones are in none. */
  readonly densities: { readonly edges: readonly number[]; readonly counts: readonly number[] };
}

/** What is known of one latent. */
export interface LatentFigures {
  /** The share of the rows that it is active for. */
  readonly density: number;
  /** The mean of its activations where it is active; 0 where it never is. */
  readonly mean: number;
  /** Its largest activation; 0 where it never is active. */
  readonly max: number;
}

const quantiles = ['0', '0.05', '0.25', '0.5', '0.75', '0.95', '1'] as const;
export type Quantile = (typeof quantiles)[number];

/** Bins of densities for each power of ten, and the least power. */
const binsADecade = 2;
const leastDecade = -7;

/** Adds up codes, block by block. */
export class ActivitySums {
  #rows = 0;
  #l1 = 0;
  /** Rows by how many latents are active. */
  readonly #byActive: Float64Array;
  readonly #counts: Float64Array;
  readonly #sums: Float64Array;
  readonly #largest: Float32Array;

  /** @param threshold above which a latent is active. */
  constructor(
    readonly hidden: number,
    readonly threshold: number,
  ) {
    this.#byActive = new Float64Array(hidden + 1);
    this.#counts = new Float64Array(hidden);
    this.#sums = new Float64Array(hidden);
    this.#largest = new Float32Array(hidden);
  }

  /** Adds codes, [rows, hidden]. */
  add(codes: Float32Array): void {
    const { hidden, threshold } = this;
    for (let first = 0; first < codes.length; first += hidden) {
      let active = 0;
      for (let latent = 0; latent < hidden; latent++) {
        const value = codes[first + latent];
        if (value === 0) continue;
        this.#l1 += Math.abs(value);
        if (value > threshold) {
          active += 1;
          this.#counts[latent] += 1;
          this.#sums[latent] += value;
          if (value > this.#largest[latent]) this.#largest[latent] = value;
        }
      }
      this.#byActive[active] += 1;
      this.#rows += 1;
    }
  }

  get figures(): ActivityFigures {
    const densities = this.#counts.map((count) => count / this.#rows);
    return {
      active: this.#counts.reduce((sum, count) => sum + count, 0) / this.#rows,
      active_quantiles: this.#quantiles(),
      l1: this.#l1 / this.#rows,
      dead: densities.filter((density) => density === 0).length,
      dense: densities.filter((density) => density > denseAbove).length,
      densities: histogram(densities),
    };
  }

  /** Of each latent, [hidden]. */
  get latents(): LatentFigures[] {
    return Array.from(this.#counts, (count, latent) => ({
      density: count / this.#rows,
      mean: count > 0 ? this.#sums[latent] / count : 0,
      max: this.#largest[latent],
    }));
  }

  #quantiles(): ActivityFigures['active_quantiles'] {
    const entries = quantiles.map((share) => {
      let left = Math.max(1, Math.ceil(Number(share) * this.#rows));
      const at = this.#byActive.findIndex((rows) => {
        left -= rows;
        return left <= 0;
      });
      return [share, at];
    });
    return Object.fromEntries(entries);
  }
}

/** On a logarithmic scale, from 10^leastDecade to 1; what is below counts in the first bin. */
function histogram(densities: Float64Array): ActivityFigures['densities'] {
  const bins = -leastDecade * binsADecade;
  const edges = Array.from({ length: bins + 1 }, (_, i) => 10 ** (leastDecade + i / binsADecade));
  const counts = new Array<number>(bins).fill(0);
  for (const density of densities) {
    if (density > 0) {
      counts[Math.max(0, edges.findIndex((edge) => density <= edge) - 1)] += 1;
    }
  }
  return { edges, counts };
}
