import { sampleRows } from '../../model/random.js';
import type { Classes } from './classes.js';

/** Rows whose codes are kept for probes, at most, and values of them that are not 0. */
const mostRows = 20_000;
const mostValues = 2 ** 24;
/** Of the kept rows, those that probes are not fitted on but measured on. */
const measuredShare = 0.2;
/** Classes that are probed, at most: those with the most rows. */
const mostProbed = 100;
/** Rows of a class, and of all others, that there must be on either side. */
const leastRows = 5;

/** How well a class is told from the others by few latents. */
export interface ClassProbe {
  readonly label: string;
  /** The latents, the one that tells most first. */
  readonly latents: readonly number[];
  /** The mean of the shares of rows with the label and without it that are told rightly, of rows that the probe was not fitted on: 0.5 by chance. */
  readonly accuracy: number;
}

/**
 * Sparse probes, after Gurnee et al. (2023): for each class a logistic regression on the latents whose means differ most between its rows
 * and the others, fitted on four fifths of a sample of the rows and measured on the rest.
 */
export class SparseProbes {
  readonly #rows: number[] = [];
  /** Of the kept rows one after another: latents that are not 0, and their values. */
  readonly #latents: Uint32Array[] = [];
  readonly #values: Float32Array[] = [];
  #kept = 0;
  readonly #sample: ReadonlySet<number>;

  constructor(
    readonly classes: Classes,
    readonly hidden: number,
  ) {
    this.#sample = new Set(sampleRows(classes.of.length, mostRows, 0));
  }

  /** Adds codes, [rows, hidden], of which some are kept. @param first the number of the first row. */
  add(codes: Float32Array, first: number): void {
    const { hidden } = this;
    for (let at = 0, row = first; at < codes.length; at += hidden, row++) {
      if (!this.#sample.has(row) || this.#kept >= mostValues) continue;
      const latents: number[] = [];
      for (let latent = 0; latent < hidden; latent++) if (codes[at + latent] !== 0) latents.push(latent);
      this.#rows.push(row);
      this.#latents.push(Uint32Array.from(latents));
      this.#values.push(Float32Array.from(latents, (latent) => codes[at + latent]));
      this.#kept += latents.length;
    }
  }

  /** Rows that were kept. */
  get rows(): number {
    return this.#rows.length;
  }

  /**
   * The probes of the classes that have enough rows, those with the most first, for each number of latents.
   * @param sizes latents of each probe, at most.
   */
  async fit(
    sizes: readonly number[],
  ): Promise<{ readonly k: number; readonly classes: readonly ClassProbe[] }[]> {
    const { classes } = this;
    const held_out = new Set(sampleRows(this.rows, Math.round(measuredShare * this.rows), 1));
    const fitted = this.#rows.map((_, i) => i).filter((i) => !held_out.has(i));
    const held = this.#rows.map((_, i) => i).filter((i) => held_out.has(i));
    const means = this.#means(fitted);
    const order = [...classes.names.keys()].sort((a, b) => classes.rows[b] - classes.rows[a] || a - b);
    const probes = sizes.map((k) => ({ k, classes: [] as ClassProbe[] }));
    for (const own of order.slice(0, mostProbed)) {
      const is = this.#rows.map((row) => classes.of[row] === own);
      if (![fitted, held].every((some) => hasBoth(some.map((i) => is[i])))) continue;
      const telling = means.telling(own, Math.max(...sizes));
      for (const { k, classes: found } of probes) {
        const latents = telling.slice(0, k);
        const accuracy = await this.#accuracy(latents, is, fitted, held);
        found.push({ label: classes.names[own], latents, accuracy });
      }
    }
    return probes;
  }

  /** That of a probe of some latents. @param is whether each kept row has the label. */
  async #accuracy(
    latents: readonly number[],
    is: readonly boolean[],
    fitted: readonly number[],
    held: readonly number[],
  ): Promise<number> {
    const inputs = this.#columns(latents);
    const rowOf = (i: number) => inputs.subarray(i * latents.length, (i + 1) * latents.length);
    const weights = await logisticRegression(
      fitted.map(rowOf),
      fitted.map((i) => is[i]),
    );
    const share = (side: boolean) => {
      const those = held.filter((i) => is[i] === side);
      return those.filter((i) => logit(weights, rowOf(i)) > 0 === side).length / those.length;
    };
    return (share(true) + share(false)) / 2;
  }

  /** The means of latents over the rows of each class that probes are fitted on. */
  #means(fitted: readonly number[]) {
    const { classes, hidden } = this;
    const count = classes.names.length;
    const sums = new Float64Array(count * hidden);
    const rows = new Float64Array(count);
    const all = new Float64Array(hidden);
    for (const i of fitted) {
      const own = classes.of[this.#rows[i]];
      rows[own] += 1;
      this.#latents[i].forEach((latent, at) => {
        sums[own * hidden + latent] += this.#values[i][at];
        all[latent] += this.#values[i][at];
      });
    }
    const total = rows.reduce((sum, some) => sum + some, 0);
    return {
      telling(own: number, k: number): number[] {
        const difference = Float64Array.from(all, (sum, latent) => {
          const of = sums[own * hidden + latent];
          return Math.abs(of / rows[own] - (sum - of) / (total - rows[own]));
        });
        return [...difference.keys()]
          .filter((latent) => difference[latent] > 0)
          .sort((a, b) => difference[b] - difference[a] || a - b)
          .slice(0, k);
      },
    };
  }

  /** The values of some latents, [kept rows, latents]. */
  #columns(latents: readonly number[]): Float64Array {
    const places = new Map(latents.map((latent, i) => [latent, i]));
    const values = new Float64Array(this.rows * latents.length);
    this.#latents.forEach((own, i) => {
      own.forEach((latent, at) => {
        const place = places.get(latent);
        if (place !== undefined) values[i * latents.length + place] = this.#values[i][at];
      });
    });
    return values;
  }
}

/** Whether there are enough rows with a label and without it. */
function hasBoth(is: readonly boolean[]): boolean {
  return [true, false].every((side) => is.filter((value) => value === side).length >= leastRows);
}

/** Newton steps, at most, and how little one changes a weight when there are no more. */
const mostSteps = 100;
const enough = 1e-8;

/**
 * The weights of a logistic regression, then its intercept: the least of ½‖w‖² + Σ c log(1 + exp(-y (w·x + b))), where y is 1 or -1, and c
 * the same in sum for both sides and 1 in the mean: scikit-learn's LogisticRegression with balanced classes. By Newton's method.
 * @param rows at least one of either side.
 */
export async function logisticRegression(
  rows: readonly Float64Array[],
  is: readonly boolean[],
): Promise<Float64Array> {
  const { Matrix, solve } = await import('ml-matrix');
  const size = rows[0].length + 1;
  const positive = is.filter(Boolean).length;
  const cost = (side: boolean) => rows.length / 2 / (side ? positive : rows.length - positive);
  const loss = (weights: Float64Array) =>
    rows.reduce(
      (sum, row, i) => {
        const margin = (is[i] ? 1 : -1) * logit(weights, row);
        return sum + cost(is[i]) * (Math.log1p(Math.exp(-Math.abs(margin))) + Math.max(0, -margin));
      },
      weights.subarray(0, -1).reduce((sum, weight) => sum + weight ** 2 / 2, 0),
    );
  let weights = new Float64Array(size);
  for (let step = 0; step < mostSteps; step++) {
    const gradient = weights.slice();
    gradient[size - 1] = 0;
    const hessian = Matrix.eye(size, size);
    // The intercept costs nothing: a little keeps the matrix regular where all rows are told.
    hessian.set(size - 1, size - 1, 1e-12);
    rows.forEach((row, i) => {
      const probability = 1 / (1 + Math.exp(-logit(weights, row)));
      const c = cost(is[i]);
      const slope = c * (probability - Number(is[i]));
      const curvature = c * probability * (1 - probability);
      for (let a = 0; a < size; a++) {
        const x = a < size - 1 ? row[a] : 1;
        gradient[a] += slope * x;
        for (let b = 0; b <= a; b++) {
          const added = curvature * x * (b < size - 1 ? row[b] : 1);
          hessian.set(a, b, hessian.get(a, b) + added);
          if (b < a) hessian.set(b, a, hessian.get(b, a) + added);
        }
      }
    });
    const direction = solve(hessian, Matrix.columnVector([...gradient])).to1DArray();
    // Half as far, and again, until the loss falls.
    const before = loss(weights);
    let far = 1;
    const at = () => weights.map((weight, i) => weight - far * direction[i]);
    while (far > 1e-10 && loss(at()) > before) far /= 2;
    weights = at();
    if (Math.max(...direction.map((value) => Math.abs(far * value))) < enough) break;
  }
  return weights;
}

function logit(weights: Float64Array, row: Float64Array): number {
  return row.reduce((sum, value, i) => sum + value * weights[i], weights[weights.length - 1]);
}
