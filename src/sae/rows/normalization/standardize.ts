import { counted, grouped } from '../formats/array.js';
import { type NormalizationKind, smallestNormalF32 } from './kind.js';

/** Each value has mean 0 and standard deviation 1 over the rows it was fitted to. */
export interface Standardize {
  readonly kind: 'standardize';
  /** [in_dims]. */
  readonly mean: Float32Array<ArrayBuffer>;
  /** Population standard deviations, [in_dims]; 1 for a value that does not vary. */
  readonly std: Float32Array<ArrayBuffer>;
}

export const standardize: NormalizationKind<Standardize> = {
  arrays: (in_dims) => ({ mean: [in_dims], std: [in_dims] }),
  numbers: [],
  linear: true,
  cost: () => 1,

  /** Means and squared distances are updated row by row (Welford, 1962), so it does not matter how rows are divided. */
  async fit(rows) {
    const { in_dims, unit } = rows;
    const means = new Float64Array(in_dims);
    const squares = new Float64Array(in_dims);
    let count = 0;
    for await (const values of rows.all()) {
      for (let i = 0; i < values.length; ) {
        count += 1;
        const share = 1 / count;
        for (let j = 0; j < in_dims; j++, i++) {
          const value = values[i];
          const apart = value - means[j];
          const mean = means[j] + apart * share;
          means[j] = mean;
          squares[j] += apart * (value - mean);
        }
      }
    }
    const std = Float32Array.from(squares, (sum) => Math.sqrt(sum / count) * unit);
    let constant = 0;
    for (let j = 0; j < in_dims; j++) {
      if (std[j] < smallestNormalF32) {
        std[j] = 1;
        constant += 1;
      }
    }
    if (constant > 0) {
      const [are, its] =
        constant === 1
          ? ['is', 'its mean and does not scale it']
          : ['are', 'their means and does not scale them'];
      rows.note(
        `Of the ${counted(in_dims, 'value')} of a row of ${rows.name}, ${grouped(constant)} ${are} the same in all rows, or nearly so: ` +
          `normalize standardize subtracts ${its}.`,
      );
    }
    return { kind: 'standardize', mean: Float32Array.from(means, (mean) => mean * unit), std };
  },

  isUsable: ({ std }) => std.every((value) => value >= smallestNormalF32),

  apply({ mean, std }, values, unit, in_dims, out) {
    const means = Float64Array.from(mean, (value) => value / unit);
    const scales = Float64Array.from(std, (value) => unit / value);
    for (let i = 0; i < values.length; ) {
      for (let j = 0; j < in_dims; j++, i++) {
        out[i] = (values[i] - means[j]) * scales[j];
      }
    }
  },

  undo({ mean, std }, values, _, unit, in_dims, out) {
    const scales = Float64Array.from(std, (value) => value / unit);
    const means = Float64Array.from(mean, (value) => value / unit);
    for (let i = 0; i < values.length; ) {
      for (let j = 0; j < in_dims; j++, i++) {
        out[i] = values[i] * scales[j] + means[j];
      }
    }
  },
};
