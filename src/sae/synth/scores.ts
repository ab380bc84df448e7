/** How well a model recovers features that are known, and the rows. */
export interface RecoveryScores {
  /** The following three: of each latent as a detector of its best feature, averaged over the latents. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Mean number of active latents of a row, and of active features. */
  readonly l0: number;
  readonly true_l0: number;
  /** Latents that were active for no row. */
  readonly dead: number;
  /** 1 - sum of |x - x̂|² / sum of |x - mean of x|², over all rows. */
  readonly r2: number;
  /** Squared error, averaged over rows and values. */
  readonly mse: number;
}

/** Precision, recall and F1 of each latent, [latents]; 0 where it is undefined. */
export interface Detection {
  readonly precision: Float64Array;
  readonly recall: Float64Array;
  readonly f1: Float64Array;
}

/** Adds up scores row by row. Its memory does not grow with the rows. */
export class ScoreSums {
  #rows = 0;
  #features = 0;
  #squaredErrors = 0;
  /** Rows for which each latent is active, and those of them for which its best feature is active too, [latents]. */
  readonly #active: Float64Array;
  readonly #hits: Float64Array;
  /** Rows for which each feature is active, [features]. */
  readonly #present: Float64Array;
  /** The current row's features. */
  readonly #marks: Uint8Array;
  /** The first row, and sums of the others' differences from it and of their squares: no digits cancel. */
  readonly #origin: Float64Array;
  readonly #sums: Float64Array;
  #squares = 0;

  /** @param best the feature that each latent is to detect, [latents]. @param features their number. */
  constructor(
    readonly best: Int32Array,
    features: number,
    in_dims: number,
  ) {
    this.#active = new Float64Array(best.length);
    this.#hits = new Float64Array(best.length);
    this.#present = new Float64Array(features);
    this.#marks = new Uint8Array(features);
    this.#origin = new Float64Array(in_dims);
    this.#sums = new Float64Array(in_dims);
  }

  /**
   * @param row [in_dims]. @param reconstruction [in_dims]. @param code [latents]; a latent is active above 0.
   * @param features those that are active in it.
   */
  add(
    row: ArrayLike<number>,
    reconstruction: ArrayLike<number>,
    code: ArrayLike<number>,
    features: Int32Array,
  ): void {
    for (const feature of features) {
      this.#present[feature] += 1;
      this.#marks[feature] = 1;
    }
    this.#features += features.length;
    for (let latent = 0; latent < this.best.length; latent++) {
      if (code[latent] > 0) {
        this.#active[latent] += 1;
        this.#hits[latent] += this.#marks[this.best[latent]];
      }
    }
    for (const feature of features) {
      this.#marks[feature] = 0;
    }
    if (this.#rows === 0) {
      this.#origin.set(row);
    }
    for (let k = 0; k < this.#origin.length; k++) {
      const difference = row[k] - this.#origin[k];
      this.#sums[k] += difference;
      this.#squares += difference * difference;
      this.#squaredErrors += (row[k] - reconstruction[k]) ** 2;
    }
    this.#rows += 1;
  }

  /** Each latent as a detector of its best feature. */
  detection(): Detection {
    const of = (score: (hits: number, active: number, present: number) => number) =>
      Float64Array.from(this.best, (feature, i) => {
        const value = score(this.#hits[i], this.#active[i], this.#present[feature]);
        return Number.isFinite(value) ? value : 0;
      });
    return {
      precision: of((hits, active) => hits / active),
      recall: of((hits, _, present) => hits / present),
      f1: of((hits, active, present) => (2 * hits) / (active + present)),
    };
  }

  /** The scores of the rows so far, of which there is at least one. */
  scores(): RecoveryScores {
    const { precision, recall, f1 } = this.detection();
    const rows = this.#rows;
    const variation = this.#squares - sum(this.#sums.map((value) => value * value)) / rows;
    return {
      precision: mean(precision),
      recall: mean(recall),
      f1: mean(f1),
      l0: sum(this.#active) / rows,
      true_l0: this.#features / rows,
      dead: this.#active.reduce((dead, count) => dead + (count === 0 ? 1 : 0), 0),
      r2: 1 - this.#squaredErrors / variation,
      mse: this.#squaredErrors / (rows * this.#origin.length),
    };
  }
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: Float64Array): number {
  return sum(values) / values.length;
}
