import { addRowProducts } from '../products.js';

/** How the latents' directions compare with those of the true features. */
export interface Matching {
  /**
   * Mean correlation coefficient: the mean |cosine| of pairs of a latent and a feature, which use each at most once and
   * are chosen for the largest sum.
   */
  readonly mcc: number;
  /** Different features among `best`, divided by the latents. */
  readonly uniqueness: number;
  /** The feature of each latent's largest |cosine|, [latents]. */
  readonly best: Int32Array;
}

/** Smaller norms count as this. */
const leastNorm = 1e-8;

/**
 * Matches latents and features by the |cosine| of their directions. At 4096 latents, 16,384 features and 768 values, its
 * 50,000 million multiplications take a minute, and the assignment 20 s and 1.2 GB.
 * @param latents directions of the latents, [.., depth]. @param features those of the features, [.., depth].
 */
export async function matchLatents(
  latents: Float32Array | Float64Array,
  features: Float32Array | Float64Array,
  depth: number,
): Promise<Matching> {
  const rows = latents.length / depth;
  const columns = features.length / depth;
  const cosines = new Float32Array(rows * columns);
  addRowProducts({ data: latents, rows }, { data: features, rows: columns }, depth, cosines);
  const own = norms(latents, depth);
  const theirs = norms(features, depth);
  const best = new Int32Array(rows);
  const byLatent: Float32Array[] = [];
  for (let i = 0; i < rows; i++) {
    const row = cosines.subarray(i * columns, (i + 1) * columns);
    for (let j = 0; j < columns; j++) {
      row[j] = Math.abs(row[j]) / (own[i] * theirs[j]);
      if (row[j] > row[best[i]]) {
        best[i] = j;
      }
    }
    byLatent.push(row);
  }
  // Only who asks for scores loads it.
  const { linearSumAssignment } = await import('linear-sum-assignment');
  // It finds the largest sum by default, and takes f32 though its types do not say so.
  const { gain } = linearSumAssignment(byLatent as unknown as Float64Array[]);
  return { mcc: gain / Math.min(rows, columns), uniqueness: new Set(best).size / rows, best };
}

function norms(vectors: Float32Array | Float64Array, depth: number): Float64Array {
  return Float64Array.from({ length: vectors.length / depth }, (_, i) => {
    let squares = 0;
    for (let at = i * depth; at < (i + 1) * depth; at++) {
      squares += vectors[at] ** 2;
    }
    return Math.max(leastNorm, Math.sqrt(squares));
  });
}
