/** `count` numbers from `first` to `last` at equal distances. */
export function linear(count: number, first: number, last: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) =>
    count === 1 ? first : first + (i * (last - first)) / (count - 1),
  );
}

/** Firing probabilities after Zipf's law: (i + 1)^-exponent, moved and scaled to reach from `max` down to `min`. */
export function zipf(
  count: number,
  { exponent, max, min }: { readonly exponent: number; readonly max: number; readonly min: number },
): Float64Array {
  const last = count ** -exponent;
  return Float64Array.from({ length: count }, (_, i) =>
    count === 1 ? max : min + ((max - min) * ((i + 1) ** -exponent - last)) / (1 - last),
  );
}

/**
 * Correlations of low rank between features, for a Gaussian copula: feature i fires where `row i of factors` ·
 * shared + `own[i]` · noise passes its threshold, with standard normal `shared`, [rank], and noise. The sum has
 * variance 1.
 */
export interface Correlation {
  readonly rank: number;
  /** [features, rank]. */
  readonly factors: Float32Array;
  /** [features]. */
  readonly own: Float64Array;
}

/** At least so much of a feature's variance is its own. */
const leastOwn = 0.01;

/** @param factors [features, rank]; those that leave too little variance to a feature itself are scaled down. */
export function correlation(factors: Float64Array, rank: number, count: number): Correlation {
  const scaled = factors.slice();
  const own = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const row = scaled.subarray(i * rank, (i + 1) * rank);
    const shared = row.reduce((sum, value) => sum + value * value, 0);
    if (shared > 1 - leastOwn) {
      const scale = Math.sqrt((1 - leastOwn) / shared);
      row.forEach((value, k) => {
        row[k] = value * scale;
      });
    }
    own[i] = Math.sqrt(Math.max(leastOwn, 1 - shared));
  }
  return { rank, factors: Float32Array.from(scaled), own };
}
