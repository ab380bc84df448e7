import type { RawWeights } from './imported.js';

/** Decoder norms below this count as this, as in SAELens: a row of zeros stays one, and none becomes NaN. */
const smallestNorm = 1e-8;

/** Euclidean norms of the decoder's rows, [latents]. */
export function decoderNorms({ W_dec, b_enc, b_dec }: RawWeights): Float64Array {
  const [latents, in_dims] = [b_enc.length, b_dec.length];
  const norms = new Float64Array(latents);
  for (let latent = 0; latent < latents; latent++) {
    let sum = 0;
    for (let i = latent * in_dims; i < (latent + 1) * in_dims; i++) sum += W_dec[i] * W_dec[i];
    norms[latent] = Math.max(Math.sqrt(sum), smallestNorm);
  }
  return norms;
}

/**
 * Changes weights in place so that a model that is given x does what it did with `inputScale * x`, and multiplied each
 * latent by `latentScales` before its activation and divided by it before the decoder:
 * W_enc[j] * latent_j * input, b_enc[j] * latent_j, W_dec[j] / (latent_j * input), b_dec / input.
 * Reconstructions are of x then, instead of `inputScale * x`.
 */
export function foldScales(
  { W_enc, b_enc, W_dec, b_dec }: RawWeights,
  inputScale: number,
  latentScales?: ArrayLike<number>,
): void {
  const [latents, in_dims] = [b_enc.length, b_dec.length];
  for (let latent = 0; latent < latents; latent++) {
    const latentScale = latentScales?.[latent] ?? 1;
    const scale = latentScale * inputScale;
    for (let i = latent * in_dims; i < (latent + 1) * in_dims; i++) {
      W_enc[i] *= scale;
      W_dec[i] /= scale;
    }
    b_enc[latent] *= latentScale;
  }
  for (let i = 0; i < in_dims; i++) b_dec[i] /= inputScale;
}
