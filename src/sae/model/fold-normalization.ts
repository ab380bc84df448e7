import { ModelFileError } from '../errors.js';
import { noNormalization } from '../rows/dataset.js';
import {
  type HostNormalization,
  isOnHost,
  kindOf,
  type ScalarNormalization,
} from '../rows/normalization/index.js';
import type { ImportedSae } from './formats/index.js';
import type { SavedModel } from './saved-model.js';

/**
 * The autoencoder that takes rows as they are, where `sae` takes them normalised, and gives the same codes, and
 * reconstructions of rows as they are.
 * @param source its name in messages.
 * @throws ModelFileError if that is none with other weights.
 */
export function foldNormalization(
  sae: ImportedSae,
  normalization: SavedModel['normalization'] = noNormalization,
  source: string,
): ImportedSae {
  return isOnHost(normalization) ? foldOnHost(sae, normalization, source) : foldScalar(sae, normalization);
}

/** W_enc / std, std W_dec, std b_dec + mean, and without `pre_bias` b_enc - W_enc mean / std. */
function foldScalar(sae: ImportedSae, { mean, std }: ScalarNormalization): ImportedSae {
  const { in_dims, pre_bias } = sae;
  return {
    ...sae,
    W_enc: sae.W_enc.map((value) => value / std),
    b_enc: pre_bias
      ? sae.b_enc
      : sae.b_enc.map((bias, i) => bias - (sumOf(sae.W_enc, i * in_dims, in_dims) * mean) / std),
    W_dec: sae.W_dec.map((value) => value * std),
    b_dec: sae.b_dec.map((value) => value * std + mean),
  };
}

/**
 * The same with a symmetric matrix M for 1 / std, by which rows of W_enc and W_dec are multiplied as rows of a data set are: W_enc M, W_dec M⁻¹.
 */
function foldOnHost(sae: ImportedSae, normalization: HostNormalization, source: string): ImportedSae {
  const { in_dims, latents, pre_bias } = sae;
  const kind = kindOf(normalization);
  if (!kind.linear || !('mean' in normalization)) {
    throw new ModelFileError(
      `${source} normalises each input row by itself (normalize ${normalization.kind}), which cannot be folded into weights. ` +
        'Write it as ONNX, whose graph has that, or train with another normalize.',
    );
  }
  const { mean } = normalization;
  const centred = { ...normalization, mean: new Float32Array(in_dims) };
  const [W_enc, W_dec, b_dec] = [sae.W_enc, sae.W_dec, sae.b_dec].map(
    ({ length }) => new Float32Array(length),
  );
  kind.apply(centred, sae.W_enc, 1, in_dims, W_enc);
  kind.undo(centred, sae.W_dec, sae.W_dec, 1, in_dims, W_dec);
  kind.undo(normalization, sae.b_dec, sae.b_dec, 1, in_dims, b_dec);
  const b_enc = sae.b_enc.slice();
  for (let i = 0; i < latents && !pre_bias; i++) {
    let sum = 0;
    for (let j = 0; j < in_dims; j++) sum += W_enc[i * in_dims + j] * mean[j];
    b_enc[i] -= sum;
  }
  return { ...sae, W_enc, b_enc, W_dec, b_dec };
}

function sumOf(values: Float32Array, first: number, count: number): number {
  let sum = 0;
  for (let i = first; i < first + count; i++) {
    sum += values[i];
  }
  return sum;
}
