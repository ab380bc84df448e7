import { RowMoments } from '../../rows/moments.js';

/** How well rows are reconstructed, in the units in which a model takes them. */
export interface Fidelity {
  readonly rows: number;
  /** The mean over rows and values of (x̂ - x)². */
  readonly mse: number;
  /**
   * 1 - Σ‖x̂ - x‖² / Σ‖x - mean‖², over all rows, with the mean of each value: 0 for the mean row, 1 for the rows themselves. As SAELens and
   * saev (1 - normalized_mse) have it, and sparsify (1 - FVU). NaN where all rows are equal.
   */
  readonly explained_variance: number;
  /** The mean of the cosines of x̂ and x. Rows of norm 0 do not count. */
  readonly cosine_similarity: number;
  /** The mean of ‖x̂‖ / ‖x‖: below 1 where reconstructions are too small. Rows with a norm of at most 1e-6 do not count. As in SAELens. */
  readonly shrinkage: number;
  /** The mean of ‖x̂‖² over that of x·x̂: 1 where no factor would bring reconstructions nearer. As in dictionary_learning. */
  readonly relative_reconstruction_bias: number;
}

/** The explained variance as others define it, under the names of the libraries. */
export interface OtherVariances {
  /** The mean over rows of 1 - ‖x̂ - x‖² / ‖x - mean‖², as SAELens had it. */
  readonly saelens_legacy: number;
  /** 1 - Σ Var(x̂ - x) / Σ Var(x), summed over the values: a constant error costs nothing. */
  readonly dictionary_learning: number;
  /** 1 - the mean of (x̂ - x)² / (that of (x - m)² + 1e-6), with the mean m of all values of all rows. */
  readonly overcomplete: number;
  /** 1 - Var(x̂ - x) / Var(x), of all values of all rows together. */
  readonly saev: number;
}

/** Norms up to which a row's ratio does not count. */
const leastNorm = 1e-6;

/** Adds up what tells how well rows are reconstructed, block by block. */
export class FidelitySums {
  readonly #inputs: RowMoments;
  readonly #errors: RowMoments;
  #cosines = 0;
  #cosineRows = 0;
  #ratios = 0;
  #ratioRows = 0;
  #squares = 0;
  #products = 0;
  #legacy = 0;

  /**
   * @param columns values a row.
   * @param mean of each value over all rows, which `saelens_legacy` needs beforehand; without it, that is NaN.
   */
  constructor(
    readonly columns: number,
    readonly mean?: Float64Array,
  ) {
    this.#inputs = new RowMoments(columns);
    this.#errors = new RowMoments(columns);
  }

  /** Adds rows and their reconstructions, [rows, columns] each. */
  add(rows: Float32Array, reconstructions: Float32Array): void {
    const { columns, mean } = this;
    const errors = reconstructions.map((value, i) => value - rows[i]);
    this.#inputs.add(rows);
    this.#errors.add(errors);
    for (let first = 0; first < rows.length; first += columns) {
      let [ofInput, ofOutput, product, error, apart] = [0, 0, 0, 0, 0];
      for (let i = first; i < first + columns; i++) {
        ofInput += rows[i] * rows[i];
        ofOutput += reconstructions[i] * reconstructions[i];
        product += rows[i] * reconstructions[i];
        error += errors[i] * errors[i];
        if (mean) apart += (rows[i] - mean[i - first]) ** 2;
      }
      const [inputNorm, outputNorm] = [Math.sqrt(ofInput), Math.sqrt(ofOutput)];
      if (inputNorm > 0 && outputNorm > 0) {
        this.#cosines += product / inputNorm / outputNorm;
        this.#cosineRows += 1;
      }
      if (inputNorm > leastNorm) {
        this.#ratios += outputNorm / inputNorm;
        this.#ratioRows += 1;
      }
      this.#squares += ofOutput;
      this.#products += product;
      this.#legacy += mean ? 1 - error / apart : Number.NaN;
    }
  }

  get fidelity(): Fidelity {
    const { rows } = this.#inputs;
    const errors = totalSquares(this.#errors);
    return {
      rows,
      mse: errors / (rows * this.columns),
      explained_variance: 1 - errors / this.#inputs.squares,
      cosine_similarity: this.#cosines / this.#cosineRows,
      shrinkage: this.#ratios / this.#ratioRows,
      relative_reconstruction_bias: this.#squares / this.#products,
    };
  }

  get otherVariances(): OtherVariances {
    const { columns } = this;
    const [inputs, errors] = [this.#inputs, this.#errors];
    const values = inputs.rows * columns;
    return {
      saelens_legacy: this.#legacy / inputs.rows,
      dictionary_learning: 1 - errors.squares / inputs.squares,
      overcomplete: 1 - totalSquares(errors) / values / (squaresAroundAll(inputs) / values + 1e-6),
      saev: 1 - squaresAroundAll(errors) / squaresAroundAll(inputs),
    };
  }
}

/** The sum of the squares of all values. */
function totalSquares({ rows, squares, mean }: RowMoments): number {
  return squares + rows * mean.reduce((sum, value) => sum + value ** 2, 0);
}

/** The sum of the squared distances of all values from the mean of them all. */
function squaresAroundAll(moments: RowMoments): number {
  const { rows, mean, columns } = moments;
  const all = mean.reduce((sum, value) => sum + value, 0) / columns;
  return totalSquares(moments) - rows * columns * all ** 2;
}
