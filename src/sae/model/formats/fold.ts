import type { ImportedSae, RawWeights } from './imported.js';
import type { Values } from './stored-tensor.js';

/** Norms below this count as this, as in SAELens: a row of zeros stays one, and none becomes NaN. */
export const leastNorm = 1e-8;

/** Euclidean norms of a decoder's rows [latents, in_dims], [latents], none of them 0. */
export function decoderNorms(W_dec: Values, in_dims: number): Float64Array {
  return Float64Array.from({ length: W_dec.length / in_dims }, (_, latent) => {
    let sum = 0;
    for (let i = latent * in_dims; i < (latent + 1) * in_dims; i++) sum += W_dec[i] * W_dec[i];
    return Math.max(Math.sqrt(sum), leastNorm);
  });
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

/** The same model without `rescaled`: the norms are in its weights, as SAELens has it in models that it saves for inference. */
export function folded(sae: ImportedSae): ImportedSae {
  const { rescaled, ...others } = sae;
  if (!rescaled) return sae;
  const weights = {
    W_enc: sae.W_enc.slice(),
    b_enc: sae.b_enc.slice(),
    W_dec: sae.W_dec.slice(),
    b_dec: sae.b_dec.slice(),
  };
  foldScales(weights, 1, decoderNorms(sae.W_dec, sae.in_dims));
  return { ...others, ...weights };
}
